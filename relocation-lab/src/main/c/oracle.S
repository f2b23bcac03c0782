// Into a piece of code with all of a machine state, and out again without touching any of it.

#include "oracle.h"

        .file   "oracle.S"
        .text

        .globl  _start
_start:
        mov     %rsp, %rdi
        and     $-16, %rsp
        call    oracle_main
        ud2

        .globl  restorer
restorer:
        mov     $15, %eax
        syscall

// The kernel clears DF and TF for a handler but leaves AC, under which C's own accesses could fault. The others stay:
// sigreturn does not bring back ID and NT (FIX_EFLAGS in arch/x86/kernel/signal_64.c).
        .globl  signal_entry
signal_entry:
        pushfq
        andq    $~0x40000, (%rsp)
        popfq
        jmp     on_signal

// void enter(const unsigned char *input, const unsigned char *image, uint64_t entry): returns when the code has come out.
        .globl  enter
enter:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, runner_rsp(%rip)
        mov     %rdx, entry(%rip)
        mov     xsave_mask(%rip), %eax
        xor     %edx, %edx
        xrstor64 (%rsi)
        pushq   IN_FLAGS(%rdi)
        popfq
        // From here on nothing may change a flag.
        mov     IN_GENERAL+0x00(%rdi), %rax
        mov     IN_GENERAL+0x08(%rdi), %rcx
        mov     IN_GENERAL+0x10(%rdi), %rdx
        mov     IN_GENERAL+0x18(%rdi), %rbx
        mov     IN_GENERAL+0x20(%rdi), %rsp
        mov     IN_GENERAL+0x28(%rdi), %rbp
        mov     IN_GENERAL+0x30(%rdi), %rsi
        mov     IN_GENERAL+0x40(%rdi), %r8
        mov     IN_GENERAL+0x48(%rdi), %r9
        mov     IN_GENERAL+0x50(%rdi), %r10
        mov     IN_GENERAL+0x58(%rdi), %r11
        mov     IN_GENERAL+0x60(%rdi), %r12
        mov     IN_GENERAL+0x68(%rdi), %r13
        mov     IN_GENERAL+0x70(%rdi), %r14
        mov     IN_GENERAL+0x78(%rdi), %r15
        mov     IN_GENERAL+0x38(%rdi), %rdi
        jmp     *entry(%rip)

// The stub of an exit has saved rax and its own place. The result is aligned: the code may have its alignment checked.
        .globl  come_out
come_out:
        mov     %rsp, saved_rsp(%rip)
        mov     result(%rip), %rsp
        mov     %rcx, OUT_GENERAL+0x08(%rsp)
        mov     %rdx, OUT_GENERAL+0x10(%rsp)
        mov     %rbx, OUT_GENERAL+0x18(%rsp)
        mov     %rbp, OUT_GENERAL+0x28(%rsp)
        mov     %rsi, OUT_GENERAL+0x30(%rsp)
        mov     %rdi, OUT_GENERAL+0x38(%rsp)
        mov     %r8, OUT_GENERAL+0x40(%rsp)
        mov     %r9, OUT_GENERAL+0x48(%rsp)
        mov     %r10, OUT_GENERAL+0x50(%rsp)
        mov     %r11, OUT_GENERAL+0x58(%rsp)
        mov     %r12, OUT_GENERAL+0x60(%rsp)
        mov     %r13, OUT_GENERAL+0x68(%rsp)
        mov     %r14, OUT_GENERAL+0x70(%rsp)
        mov     %r15, OUT_GENERAL+0x78(%rsp)
        mov     %rsp, %rdi
        mov     runner_rsp(%rip), %rsp
        pushfq
        popq    OUT_FLAGS(%rdi)
        pushq   $2
        popfq
        movabs  GATE_RAX, %rax
        mov     %rax, OUT_GENERAL+0x00(%rdi)
        mov     saved_rsp(%rip), %rax
        mov     %rax, OUT_GENERAL+0x20(%rdi)
        mov     xsave_mask(%rip), %eax
        xor     %edx, %edx
        xsave64 XSAVE_IMAGE(%rdi)
// Also from a signal handler, which never returns to where the signal came from.
        .globl  leave
leave:
        mov     runner_rsp(%rip), %rsp
        pushq   $2
        popfq
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

// void serialize(void): what was written to code through another address is executed behind it (Intel SDM, volume 3, 9.1.3;
// AMD64 APM, volume 2, 7.6.4: iretq). cpuid would leave a virtual machine.
        .globl  serialize
serialize:
        mov     %rsp, %rax
        mov     %ss, %ecx
        push    %rcx
        push    %rax
        pushfq
        mov     %cs, %ecx
        push    %rcx
        lea     1f(%rip), %rcx
        push    %rcx
        iretq
1:      ret

// long first_difference(const void *a, const void *b, long lines): which of the lines of 64 bytes, or -1. Both are aligned.
        .globl  first_difference
        .balign 64
first_difference:
        xor     %eax, %eax
        testl   $4, xsave_mask(%rip)
        jnz     4f
1:      cmp     %rdx, %rax
        jae     2f
        movdqa  (%rdi), %xmm0
        movdqa  16(%rdi), %xmm1
        movdqa  32(%rdi), %xmm2
        movdqa  48(%rdi), %xmm3
        pcmpeqb (%rsi), %xmm0
        pcmpeqb 16(%rsi), %xmm1
        pcmpeqb 32(%rsi), %xmm2
        pcmpeqb 48(%rsi), %xmm3
        pand    %xmm1, %xmm0
        pand    %xmm3, %xmm2
        pand    %xmm2, %xmm0
        pmovmskb %xmm0, %ecx
        cmp     $0xffff, %ecx
        jne     3f
        add     $64, %rdi
        add     $64, %rsi
        inc     %rax
        jmp     1b
2:      mov     $-1, %rax
3:      ret
4:      cmp     %rdx, %rax
        jae     5f
        vmovaps (%rdi), %ymm0
        vmovaps 32(%rdi), %ymm1
        vxorps  (%rsi), %ymm0, %ymm0
        vxorps  32(%rsi), %ymm1, %ymm1
        vorps   %ymm1, %ymm0, %ymm0
        vptest  %ymm0, %ymm0
        jnz     3b
        add     $64, %rdi
        add     $64, %rsi
        inc     %rax
        jmp     4b
5:      mov     $-1, %rax
        ret
        .globl  text_end
text_end:

        .bss
        .balign 64
        .globl  result, xsave_mask, runner_rsp
saved_rsp:      .quad 0
result:         .quad 0
xsave_mask:     .quad 0
runner_rsp:     .quad 0
entry:          .quad 0

        .section .note.GNU-stack, "", @progbits
