/* vectors: loads all YMM registers and st(0), and prints what is in them when it is told to.
 *
 *   <- ready PID ADDRESS     of an int: 0, and 1 when the registers are loaded
 *   -> 2 written there
 *   <- ymmI HEX              32 bytes, for I from 0 to 15
 *   <- mxcsr HEX
 *
 * Byte 0 of register I is I, byte N is N; st(0) is pi. */
#include <stdio.h>
#include <unistd.h>

static volatile int go;
static unsigned char in[16][32], out[16][32];

#define ALL(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD(I) "vmovdqu 32*" #I "(%1), %%ymm" #I "\n"
#define STORE(I) "vmovdqu %%ymm" #I ", 32*" #I "(%2)\n"
#define CLOBBER(I) "xmm" #I,

int main(void)
{
    unsigned mxcsr;
    for (int i = 0; i < 16; i++) {
        for (int n = 0; n < 32; n++) {
            in[i][n] = (unsigned char)(n == 0 ? i : n);
        }
    }
    printf("ready %d %lx\n", getpid(), (unsigned long)&go);
    fflush(stdout);
    __asm__ volatile(ALL(LOAD) "fldpi\n"
                     "movl $1, (%3)\n"
                     "1: pause\n"
                     "cmpl $2, (%3)\n"
                     "jne 1b\n"
                     "fstp %%st(0)\n"
                     "stmxcsr %0\n" ALL(STORE) "vzeroall\n"
                     : "=m"(mxcsr)
                     : "r"(in), "r"(out), "r"(&go)
                     : ALL(CLOBBER) "memory", "cc");
    for (int i = 0; i < 16; i++) {
        printf("ymm%d ", i);
        for (int n = 0; n < 32; n++) {
            printf("%02x", out[i][n]);
        }
        printf("\n");
    }
    printf("mxcsr %x\n", mxcsr);
    return 0;
}
