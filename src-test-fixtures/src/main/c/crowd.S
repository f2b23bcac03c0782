// The functions of crowd.c: 64 that are alike. Each returns its argument plus one; the first instruction of number N has
// the label site_N.

        .file   "crowd.S"

        .macro  FUNCTION number
        .balign 16
        .globl  own_\number, site_\number
        .type   own_\number, @function
own_\number:
site_\number:
        mov     %rdi, %rax
        inc     %rax
        ret
        .size   own_\number, . - own_\number
        .pushsection .data.rel.ro.own, "aw"
        .quad   own_\number
        .popsection
        .endm

        .section .data.rel.ro.own, "aw"
        .balign 8
        .globl  own_functions
own_functions:

        .text
        .altmacro
        .set    number, 0
        .rept   64
        FUNCTION %number
        .set    number, number + 1
        .endr

        .section .note.GNU-stack, "", @progbits
