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

// void enter(const unsigned char *input): returns when the code has come out.
        .globl  enter
enter:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, runner_rsp(%rip)
        mov     IN_ADDRESS(%rdi), %rax
        mov     %rax, entry(%rip)
        mov     xsave_mask(%rip), %eax
        xor     %edx, %edx
        xrstor64 XSAVE_IMAGE(%rdi)
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

// The stub of an exit has saved rax and its own number.
        .globl  come_out
come_out:
        mov     %rcx, saved+0x08(%rip)
        mov     %rdx, saved+0x10(%rip)
        mov     %rbx, saved+0x18(%rip)
        mov     %rsp, saved+0x20(%rip)
        mov     %rbp, saved+0x28(%rip)
        mov     %rsi, saved+0x30(%rip)
        mov     %rdi, saved+0x38(%rip)
        mov     %r8, saved+0x40(%rip)
        mov     %r9, saved+0x48(%rip)
        mov     %r10, saved+0x50(%rip)
        mov     %r11, saved+0x58(%rip)
        mov     %r12, saved+0x60(%rip)
        mov     %r13, saved+0x68(%rip)
        mov     %r14, saved+0x70(%rip)
        mov     %r15, saved+0x78(%rip)
        mov     runner_rsp(%rip), %rsp
        pushfq
        popq    saved_flags(%rip)
        pushq   $2
        popfq
        mov     result(%rip), %rdi
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
        .globl  text_end
text_end:

        .bss
        .balign 64
        .globl  saved, saved_flags, exit_number, result, xsave_mask, runner_rsp
saved:          .fill 16, 8
saved_flags:    .quad 0
exit_number:    .quad 0
result:         .quad 0
xsave_mask:     .quad 0
runner_rsp:     .quad 0
entry:          .quad 0

        .section .note.GNU-stack, "", @progbits
