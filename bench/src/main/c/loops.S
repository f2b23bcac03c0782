// The loops of loops.c: one for each kind of instruction. Each returns n in rax, after n executions of the
// instruction at the label site_KIND, which does its share of the counting; the instruction behind it has the label
// next_KIND.

        .file   "loops.S"

        .macro  KIND name, needs_avx=0
        .pushsection .rodata.loop_names, "a"
name_\name:
        .asciz  "\name"
        .popsection
        .pushsection .data.rel.ro.loops, "aw"
        .quad   name_\name, loop_\name, \needs_avx
        .popsection
        .balign 64
        .globl  loop_\name
        .type   loop_\name, @function
loop_\name:
        xor     %eax, %eax
        mov     $1, %esi
        .balign 16
1:
        .endm

        .macro  SITE name
        .globl  site_\name
site_\name:
        .endm

        .macro  NEXT name
        .globl  next_\name
next_\name:
        .endm

        .macro  REPEAT name
        dec     %rdi
        jnz     1b
        ret
        .size   loop_\name, . - loop_\name
        .endm

        .section .data.rel.ro.loops, "aw"
        .balign 8
        .globl  loop_table
loop_table:

        .section .rodata
        .balign 16
one:    .quad   1
one_point_zero:
        .double 1

        .text

KIND nop
SITE nop
        nop
NEXT nop
        inc     %rax
REPEAT nop

KIND push
SITE push
        push    %rsi
NEXT push
        pop     %rcx
        add     %rcx, %rax
REPEAT push

KIND call
SITE call
        call    increment
NEXT call
REPEAT call

// Always taken: rdi is not zero.
KIND jcc
        test    %rdi, %rdi
SITE jcc
        jnz     2f
NEXT jcc
        dec     %rax
2:      inc     %rax
REPEAT jcc

KIND mov
        xor     %ecx, %ecx
SITE mov
        mov     %rsi, %rcx
NEXT mov
        add     %rcx, %rax
REPEAT mov

KIND lea
        xor     %ecx, %ecx
SITE lea
        lea     one(%rip), %rcx
NEXT lea
        add     (%rcx), %rax
REPEAT lea

KIND ret
        call    increment_probed
REPEAT ret

// One that the kernel's uprobes execute rightly: they take its opcode, 58, for that of pop.
KIND vex, 1
        vmovsd  one_point_zero(%rip), %xmm1
        vcvtsi2sd %rax, %xmm0, %xmm0
SITE vex
        vaddsd  %xmm1, %xmm0, %xmm0
NEXT vex
        vcvttsd2si %xmm0, %rax
REPEAT vex

KIND nop5
SITE nop5
        .byte   0x0f, 0x1f, 0x44, 0x00, 0x00
NEXT nop5
        inc     %rax
REPEAT nop5

        .balign 16
        .type   increment, @function
increment:
        inc     %rax
        ret
        .size   increment, . - increment

        .type   increment_probed, @function
increment_probed:
        inc     %rax
SITE ret
        ret
NEXT ret
        .size   increment_probed, . - increment_probed

// Room for a copy of an instruction and what a tracer puts behind it.
        .balign 64
        .globl  loop_slot
loop_slot:
        .fill   64, 1, 0xcc

        .section .data.rel.ro.loops, "aw"
        .globl  loop_table_end
loop_table_end:

        .section .note.GNU-stack, "", @progbits
