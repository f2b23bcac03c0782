# Code without sizes, with data in between, and ways around them. Prints the same sum each time it is asked.
        .text
        .globl  main
        .type   walker, @function
walker:
        lea     values(%rip), %rdx
        xor     %eax, %eax
        mov     $4, %ecx
again:  add     (%rdx), %rax
next_value:
        add     $8, %rdx
        dec     %ecx
        jnz     again
        jmp     walked
values: .quad   0x9090909090909001, 2, 3, 4
walked: ret
unreached:                                      # only an indirect jump would lead here
        xor     %eax, %eax
        ret

        .type   locked, @function
locked: xorl    $1, alone(%rip)                 # every other time
        jne     past_lock
        lock
past_lock:
        incl    counter(%rip)
        ret
        .size   locked, . - locked

        .type   leaver, @function
leaver: push    %rbx
        call    abort@PLT                       # the last of a function of known size
        .size   leaver, . - leaver
left:   .quad   0x9090909090909090

        .type   stopper, @function
stopper:
        test    %edi, %edi
        jz      stopped
        call    abort@PLT
        .type   constants, @object
constants:
        .quad   0x9090909090909090
        .size   constants, 8
stopped:
        ret

        .cfi_startproc                          # begins a byte early, as of some signal returns
        nop
        .type   early, @function
early:  mov     $1, %eax
        ret
        .size   early, . - early
        .cfi_endproc

        .type   main, @function
main:   push    %rbx
        push    %rbp
        xor     %ebp, %ebp
1:      call    getchar@PLT
        cmp     $10, %eax
        je      1b
        test    %eax, %eax
        js      2f
        mov     $25, %ebx
        xor     %ebp, %ebp
        movl    $0, alone(%rip)
        movl    $0, counter(%rip)
3:      call    walker
        add     %rax, %rbp
        call    locked
        call    early
        xor     %edi, %edi
        call    stopper
        dec     %ebx
        jnz     3b
        mov     counter(%rip), %eax
        add     %rax, %rbp
        mov     %rbp, %rsi
        lea     format(%rip), %rdi
        xor     %eax, %eax
        call    printf@PLT
        xor     %edi, %edi
        call    fflush@PLT
        jmp     1b
2:      pop     %rbp
        pop     %rbx
        xor     %eax, %eax
        ret

        .section .rodata
format: .string "sum %lx\n"
        .bss
alone:  .long   0
counter:
        .long   0
        .section .note.GNU-stack, "", @progbits
