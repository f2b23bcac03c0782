/* restartable: a thread in a restartable sequence that never ends but by its abort, again and again.
 *
 *   <- ready PID ADDRESS     of the number of aborts, a long; 0 if there is no such sequence
 *
 * The structures are those of linux/rseq.h; the area is the one that glibc registers. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

static volatile long aborts;

int main(void)
{
    if (!&__rseq_size || __rseq_size == 0) {
        printf("ready %d 0\n", getpid());
        return 0;
    }
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    printf("ready %d %lx\n", getpid(), (unsigned long)&aborts);
    fflush(stdout);
    for (;;) {
        __asm__ volatile(".pushsection __rseq_cs, \"aw\"\n"
                         ".balign 32\n"
                         "3: .long 0, 0\n"
                         ".quad 1f, 2f - 1f, 4f\n"
                         ".popsection\n"
                         "leaq 3b(%%rip), %%rax\n"
                         "movq %%rax, 8(%0)\n"
                         "1: pause\n"
                         "jmp 1b\n"
                         "2: ud2\n"
                         /* the signature of RSEQ_SIG: ud1 0x53053053(%rip), %edi */
                         ".byte 0x0f, 0xb9, 0x3d\n"
                         ".long 0x53053053\n"
                         "4:\n"
                         :
                         : "r"(area)
                         : "rax", "memory");
        aborts++;
    }
}
