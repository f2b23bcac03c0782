/* mixed N_CALLS: a 64-bit program that jumps into 32-bit code and back, N_CALLS times.
 *
 *   -> go           (as often as wanted)
 *   <- ok | BAD     whether the 32-bit code computed what it should
 *
 * The program is position dependent, so that its code lies where 32-bit code can be. */
#include "fixture.h"

/* In 32-bit code the byte 48 is dec %eax, in 64-bit code it is a prefix: there the two of code_32 were `add %rax, %rax`. No
 * stack is used meanwhile, since a 32-bit thread has only half of the pointer to it. */
__asm__(".text\n"
        ".globl in_32, code_32, code_32_add, code_32_back\n"
        ".type in_32, @function\n"
        "in_32:\n"
        "  push %rbx\n"
        "  push %rbp\n"
        "  push %r12\n"
        "  push %r13\n"
        "  push %r14\n"
        "  push %r15\n"
        "  mov %rsp, saved_rsp(%rip)\n"
        "  mov %edi, %eax\n"
        "  ljmp *to_32(%rip)\n"
        ".code32\n"
        "code_32:\n"
        "  dec %eax\n"
        "code_32_add:\n"
        "  add %eax, %eax\n"
        "code_32_back:\n"
        "  ljmp $0x33, $code_64\n"
        ".code64\n"
        "code_64:\n"
        "  mov saved_rsp(%rip), %rsp\n"
        "  pop %r15\n"
        "  pop %r14\n"
        "  pop %r13\n"
        "  pop %r12\n"
        "  pop %rbp\n"
        "  pop %rbx\n"
        "  mov %eax, %eax\n"
        "  ret\n"
        ".size in_32, . - in_32\n"
        ".data\n"
        "to_32: .long code_32\n"
        "  .word 0x23\n"
        ".bss\n"
        ".balign 8\n"
        "saved_rsp: .quad 0\n"
        ".text\n");

/* Returns 2 * (x - 1). */
unsigned long in_32(unsigned x);

int main(int argc, char **argv)
{
    unsigned long n_calls = number_argument(argc, argv, 1, 1);
    say_ready();
    for (;;) {
        await_command("go");
        bool ok = true;
        for (unsigned i = 1; i <= n_calls; i++) {
            ok &= in_32(i) == 2 * (i - 1);
        }
        say_verdict(ok);
    }
}
