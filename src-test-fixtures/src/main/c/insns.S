// One function a kind of instruction. Each sets things up, executes the instruction at the
// label site_KIND, and returns in rax a value that must be `expected`, probed or not.
//
// The functions may change rax, rcx, rdx, rsi, rdi, r11, xmm0, xmm1 and the arithmetic flags;
// insn_call checks that everything else is as it was. What insns.c finds in insn_table for
// each kind is struct insn there.

        .file   "insns.S"

#define FEATURE_NONE 0
#define FEATURE_AVX 1
#define FEATURE_FMA 2
#define FEATURE_AVX512VL 3
#define FEATURE_OSXSAVE 4
#define FEATURE_FSGSBASE 5
#define FEATURE_RDTSCP 6

// Overflow, sign, zero, adjust, parity and carry; with the direction and the trap flag.
#define ARITHMETIC 0x8d5
#define DIRECTION 0x400
#define TRAP 0x100

        .macro  KIND name, expected, feature=FEATURE_NONE
        .pushsection .rodata.insn_names, "a"
name_\name:
        .asciz  "\name"
        .popsection
        .pushsection .data.rel.ro.insns, "aw"
        .quad   name_\name, insn_\name, \expected, \feature
        .popsection
        .balign 16
        .globl  insn_\name
        .type   insn_\name, @function
insn_\name:
        .endm

        .macro  SITE name
        .globl  site_\name
site_\name:
        .endm

        .macro  SET_FLAGS flags
        push    $\flags
        popf
        .endm

        // Leaves the direction flag as every function must.
        .macro  RETURN_FLAGS
        pushf
        pop     %rax
        and     $(ARITHMETIC | DIRECTION | TRAP), %eax
        cld
        ret
        .endm

        // The handler in insns.c checks a signal at `site`, with si_addr at `address`, and
        // goes on at `resume`.
        .macro  EXPECT_SIGNAL site, address, resume
        lea     \site(%rip), %rcx
        mov     %rcx, fault_site(%rip)
        mov     \address, %rcx
        mov     %rcx, fault_address(%rip)
        lea     \resume(%rip), %rcx
        mov     %rcx, fault_resume(%rip)
        .endm

        // What the handler saw, as signal << 24 | si_code << 16 | rip as expected << 8 |
        // si_addr as expected.
        .macro  RETURN_SIGNAL
        mov     fault_seen(%rip), %rax
        movq    $0, fault_seen(%rip)
        ret
        .endm

        .section .data.rel.ro.insns, "aw"
        .balign 8
        .globl  insn_table
insn_table:

        .data
        .balign 64
constant:       .quad   0x0123456789abcdef
helper_pointer: .quad   helper
vector:         .long   1, 2, 3, 4
floats:         .float  1.5, 2.5, 3.5, 4.5
doubles:        .double 1, 2, 3, 4
scratch:        .fill   16, 8, 0
translation:    .byte   10, 11, 12, 13
        .balign 8
        .globl  fault_site, fault_address, fault_resume, fault_seen, insn_pid
fault_site:     .quad   0
fault_address:  .quad   0
fault_resume:   .quad   0
fault_seen:     .quad   0
insn_pid:       .quad   0
insn_rsp:       .quad   0

        .bss
        .balign 4096
        .globl  fault_page
fault_page:     .fill   4096
source:         .fill   4096
destination:    .fill   4096

        .text

helper:
        mov     $7, %eax
        ret

return_address:
        mov     (%rsp), %rax
        ret

// unsigned long insn_call(insn_function *function, unsigned long *damage): calls the function
// with known values in all registers that it must keep, and sets *damage to bits that differ
// afterwards.
        .globl  insn_call
        .type   insn_call, @function
insn_call:
        .irp    r, rbx, rbp, r12, r13, r14, r15, rsi
        push    %\r
        .endr
        mov     %rdi, %rax
        .irp    r, rbx, rbp, r8, r9, r10, r12, r13, r14, r15
        lea     value_\r, %\r
        .endr
        .irp    x, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        mov     $(0x5e7 + \x), %edx
        movq    %rdx, %xmm\x
        .endr
        mov     %rsp, insn_rsp(%rip)
        call    *%rax
        pushf
        pop     %rcx
        and     $(DIRECTION | TRAP), %ecx
        mov     %rsp, %rdx
        xor     insn_rsp(%rip), %rdx
        or      %rdx, %rcx
        .irp    r, rbx, rbp, r8, r9, r10, r12, r13, r14, r15
        lea     value_\r, %rdx
        xor     %\r, %rdx
        or      %rdx, %rcx
        .endr
        .irp    x, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movq    %xmm\x, %rdx
        xor     $(0x5e7 + \x), %rdx
        or      %rdx, %rcx
        .endr
        pop     %rsi
        mov     %rcx, (%rsi)
        .irp    r, r15, r14, r13, r12, rbp, rbx
        pop     %\r
        .endr
        ret

        .set    value_rbx, 0x7b000001
        .set    value_rbp, 0x7b000002
        .set    value_r8, 0x7b000003
        .set    value_r9, 0x7b000004
        .set    value_r10, 0x7b000005
        .set    value_r12, 0x7b000006
        .set    value_r13, 0x7b000007
        .set    value_r14, 0x7b000008
        .set    value_r15, 0x7b000009

// ---- no operation

KIND nop, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE nop
        nop
        RETURN_FLAGS

KIND nop5, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE nop5
        .byte   0x0f, 0x1f, 0x44, 0x00, 0x00
        RETURN_FLAGS

KIND endbr64, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE endbr64
        endbr64
        RETURN_FLAGS

KIND red_zone, 0x11
        movq    $0x10, -8(%rsp)
        movq    $0x01, -128(%rsp)
SITE red_zone
        lea     -8(%rsp), %rcx
        mov     (%rcx), %rax
        add     -128(%rsp), %rax
        ret

// ---- stack

KIND push_reg, 0x1234
        mov     $0x1234, %ecx
SITE push_reg
        push    %rcx
        pop     %rax
        ret

KIND push_rsp, 0
        mov     %rsp, %rcx
SITE push_rsp
        push    %rsp
        pop     %rax
        sub     %rcx, %rax
        ret

KIND push_imm, -5
SITE push_imm
        push    $-5
        pop     %rax
        ret

KIND push_imm32, -0x12345678
SITE push_imm32
        push    $-0x12345678
        pop     %rax
        ret

KIND push_imm16, 0xabcd
        mov     %rsp, %rcx
SITE push_imm16
        pushw   $0xabcd
        movzwl  (%rsp), %eax
        mov     %rcx, %rsp
        ret

KIND push_mem, 0x0123456789abcdef
        lea     constant(%rip), %rcx
SITE push_mem
        push    (%rcx)
        pop     %rax
        ret

KIND push_rip_mem, 0x0123456789abcdef
SITE push_rip_mem
        push    constant(%rip)
        pop     %rax
        ret

KIND push_rsp_mem, 0x77
        push    $0x77
        push    $0x66
SITE push_rsp_mem
        push    8(%rsp)
        pop     %rax
        add     $16, %rsp
        ret

KIND pop_reg, 0x42
        push    $0x42
SITE pop_reg
        pop     %rax
        ret

KIND pop_rsp, 0
        mov     %rsp, %rcx
        push    %rcx
SITE pop_rsp
        pop     %rsp
        mov     %rsp, %rax
        sub     %rcx, %rax
        ret

// The address is computed with the rsp behind the pop.
KIND pop_rsp_mem, 0x55
        push    $0x11
        push    $0x22
        push    $0x55
SITE pop_rsp_mem
        pop     8(%rsp)
        pop     %rcx
        pop     %rax
        ret

KIND pop_rip_mem, 0x56
        push    $0x56
SITE pop_rip_mem
        pop     scratch(%rip)
        mov     scratch(%rip), %rax
        ret

KIND mov_rsp, 0
        lea     -16(%rsp), %rcx
        mov     %rsp, %rdx
SITE mov_rsp
        mov     %rcx, %rsp
        mov     %rsp, %rax
        sub     %rcx, %rax
        mov     %rdx, %rsp
        ret

KIND sub_rsp, 64
        mov     %rsp, %rax
SITE sub_rsp
        sub     $64, %rsp
        sub     %rsp, %rax
        add     $64, %rsp
        ret

KIND enter, 24
        push    %rbp
        mov     %rsp, %rcx
SITE enter
        enter   $16, $0
        lea     -8(%rcx), %rax
        sub     %rbp, %rax
        jnz     1f
        mov     %rcx, %rax
        sub     %rsp, %rax
1:      mov     %rcx, %rsp
        pop     %rbp
        ret

KIND enter_nested, 32
        push    %rbp
        mov     %rsp, %rcx
SITE enter_nested
        enter   $16, $1
        mov     %rcx, %rax
        sub     %rsp, %rax
        mov     %rcx, %rsp
        pop     %rbp
        ret

KIND leave, 0x7b000002
        mov     %rsp, %rcx
        push    %rbp
        mov     %rsp, %rbp
        sub     $32, %rsp
SITE leave
        leave
        mov     %rbp, %rax
        sub     %rsp, %rcx
        add     %rcx, %rax
        ret

// ---- calls and returns

KIND call_rel, 7
SITE call_rel
        call    helper
        ret

KIND call_next, 0
SITE call_next
        call    1f
1:      pop     %rcx
        lea     1b(%rip), %rax
        sub     %rcx, %rax
        ret

KIND call_return_address, 0
SITE call_return_address
        call    return_address
1:      lea     1b(%rip), %rcx
        sub     %rcx, %rax
        ret

KIND call_reg, 7
        lea     helper(%rip), %rcx
SITE call_reg
        call    *%rcx
        ret

KIND call_mem, 7
        lea     helper_pointer(%rip), %rcx
SITE call_mem
        call    *(%rcx)
        ret

KIND call_rip_mem, 7
SITE call_rip_mem
        call    *helper_pointer(%rip)
        ret

// The address is computed with the rsp before the push.
KIND call_rsp_mem, 7
        lea     helper(%rip), %rcx
        push    %rcx
SITE call_rsp_mem
        call    *(%rsp)
        pop     %rcx
        ret

KIND ret, 1
        mov     $1, %eax
SITE ret
        ret

KIND ret_rep, 2
        mov     $2, %eax
SITE ret_rep
        repz ret

KIND ret_n, 0
        mov     %rsp, %rcx
        push    $1
        push    $2
        call    1f
        mov     %rsp, %rax
        sub     %rcx, %rax
        mov     %rcx, %rsp
        ret
1:
SITE ret_n
        ret     $16

// ---- jumps: 1 if the jump went where it should

KIND jmp_rel8, 1
        xor     %eax, %eax
SITE jmp_rel8
        jmp     1f
        ret
1:      inc     %eax
        ret

KIND jmp_rel32, 1
        xor     %eax, %eax
SITE jmp_rel32
        {disp32} jmp 1f
        ret
1:      inc     %eax
        ret

KIND jmp_back, 1
        xor     %eax, %eax
        jmp     2f
1:      inc     %eax
        ret
2:
SITE jmp_back
        jmp     1b

KIND jmp_next, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE jmp_next
        .byte   0xeb, 0x00
        RETURN_FLAGS

KIND jmp_reg, 7
        lea     helper(%rip), %rcx
SITE jmp_reg
        jmp     *%rcx

KIND jmp_mem, 7
        lea     helper_pointer(%rip), %rcx
SITE jmp_mem
        jmp     *(%rcx)

KIND jmp_index, 7
        lea     helper_pointer-16(%rip), %rcx
        mov     $2, %edx
SITE jmp_index
        jmp     *(%rcx,%rdx,8)

KIND jmp_rip_mem, 7
SITE jmp_rip_mem
        jmp     *helper_pointer(%rip)

// Conditional jumps, each short and near, taken (1) and not (2).
        .macro  JCC name, insn, flags, expected
KIND \name, \expected
        SET_FLAGS \flags
SITE \name
        \insn   1f
        mov     $2, %eax
        ret
1:      mov     $1, %eax
        ret
        .endm

        .macro  JCC_PAIR cc, opposite, flags
        JCC     j\cc\()_taken, j\cc, \flags, 1
        JCC     j\cc\()_not, j\cc, 0, 2
        JCC     j\opposite\()_taken, j\opposite, 0, 1
        JCC     j\opposite\()_not, j\opposite, \flags, 2
        JCC     j\cc\()_near_taken, "{disp32} j\cc", \flags, 1
        JCC     j\cc\()_near_not, "{disp32} j\cc", 0, 2
        JCC     j\opposite\()_near_taken, "{disp32} j\opposite", 0, 1
        JCC     j\opposite\()_near_not, "{disp32} j\opposite", \flags, 2
        .endm

        JCC_PAIR o, no, 0x800
        JCC_PAIR b, ae, 0x001
        JCC_PAIR e, ne, 0x040
        JCC_PAIR be, a, 0x001
        JCC_PAIR s, ns, 0x080
        JCC_PAIR p, np, 0x004
        JCC_PAIR l, ge, 0x080
        JCC_PAIR le, g, 0x040

KIND loop, 5
        mov     $5, %ecx
        xor     %eax, %eax
1:      inc     %eax
SITE loop
        loop    1b
        add     %rcx, %rax
        ret

// Counts in ecx and clears the upper half of rcx.
KIND loop_ecx, 3
        mov     $-1, %rcx
        mov     $3, %cl
        xor     $0xffffff00, %ecx
        xor     %eax, %eax
1:      inc     %eax
SITE loop_ecx
        addr32 loop 1b
        add     %rcx, %rax
        ret

KIND loope, 4
        mov     $4, %ecx
        xor     %eax, %eax
1:      inc     %eax
        test    $0, %al
SITE loope
        loope   1b
        ret

KIND loope_not, 1
        mov     $4, %ecx
        xor     %eax, %eax
1:      inc     %eax
SITE loope_not
        loope   1b
        ret

KIND loopne, 0x203
        mov     $5, %ecx
        xor     %eax, %eax
1:      inc     %eax
        cmp     $3, %eax
SITE loopne
        loopne  1b
        shl     $8, %ecx
        or      %ecx, %eax
        ret

KIND jrcxz_taken, 1
        xor     %ecx, %ecx
SITE jrcxz_taken
        jrcxz   1f
        mov     $2, %eax
        ret
1:      mov     $1, %eax
        ret

KIND jrcxz_not, 2
        mov     $1, %ecx
        shl     $32, %rcx
SITE jrcxz_not
        jrcxz   1f
        mov     $2, %eax
        ret
1:      mov     $1, %eax
        ret

KIND jecxz_taken, 1
        mov     $1, %ecx
        shl     $32, %rcx
SITE jecxz_taken
        jecxz   1f
        mov     $2, %eax
        ret
1:      mov     $1, %eax
        ret

KIND jecxz_not, 2
        mov     $1, %ecx
SITE jecxz_not
        jecxz   1f
        mov     $2, %eax
        ret
1:      mov     $1, %eax
        ret

// ---- relative to rip, and other addressing

KIND lea_rip, 0x0123456789abcdef
SITE lea_rip
        lea     constant(%rip), %rax
        mov     (%rax), %rax
        ret

// An address of 32 bits: truncated, and zero-extended.
KIND lea_eip, 0
SITE lea_eip
        lea     constant(%eip), %eax
        lea     constant(%rip), %rcx
        sub     %ecx, %eax
        ret

KIND mov_rip_load, 0x0123456789abcdef
SITE mov_rip_load
        mov     constant(%rip), %rax
        ret

// ModRM names r8..r15 and rsp by REX bits: the operand must stay what it was.
KIND mov_rip_load_r11, 0x0123456789abcdef
SITE mov_rip_load_r11
        mov     constant(%rip), %r11
        mov     %r11, %rax
        ret

KIND mov_rip_store, 0x1234
        mov     $0x1234, %ecx
        lea     scratch(%rip), %rdx
SITE mov_rip_store
        mov     %rcx, scratch(%rip)
        mov     (%rdx), %rax
        ret

KIND mov_rip_imm, 0x55667788
        movq    $0, scratch(%rip)
SITE mov_rip_imm
        movl    $0x55667788, scratch(%rip)
        mov     scratch(%rip), %rax
        ret

KIND cmp_rip_imm, 0x44
SITE cmp_rip_imm
        cmpl    $0x89abcdef, constant(%rip)
        RETURN_FLAGS

KIND cmpb_rip_imm, 0x44
SITE cmpb_rip_imm
        cmpb    $0xef, constant(%rip)
        RETURN_FLAGS

KIND test_rip_imm, 0x04
        SET_FLAGS 0
SITE test_rip_imm
        testl   $0xa00f, constant(%rip)
        RETURN_FLAGS

KIND add_rip_imm32, 0x11223345
        movq    $1, scratch(%rip)
SITE add_rip_imm32
        addq    $0x11223344, scratch(%rip)
        mov     scratch(%rip), %rax
        ret

KIND shl_rip_imm8, 0x50
        movq    $5, scratch(%rip)
SITE shl_rip_imm8
        shlq    $4, scratch(%rip)
        mov     scratch(%rip), %rax
        ret

KIND imul_rip_imm, 3000
        movq    $3, scratch(%rip)
SITE imul_rip_imm
        imul    $1000, scratch(%rip), %rax
        ret

// Uses rax and rdx, so that no copy of it may take them as a base.
KIND mul_rip, 0x0
        movq    $16, scratch(%rip)
        movabs  $0x1000000000000000, %rax
SITE mul_rip
        mulq    scratch(%rip)
        dec     %rdx
        or      %rdx, %rax
        ret

KIND xchg_rip, 0x908
        movq    $9, scratch(%rip)
        mov     $8, %eax
SITE xchg_rip
        xchg    %rax, scratch(%rip)
        shl     $8, %eax
        or      scratch(%rip), %rax
        ret

KIND lock_xadd_rip, 0x508
        movq    $5, scratch(%rip)
        mov     $3, %eax
SITE lock_xadd_rip
        lock xadd %rax, scratch(%rip)
        shl     $8, %eax
        or      scratch(%rip), %rax
        ret

KIND lock_cmpxchg_rip, 0x6
        movq    $5, scratch(%rip)
        mov     $5, %eax
        mov     $6, %ecx
SITE lock_cmpxchg_rip
        lock cmpxchg %rcx, scratch(%rip)
        mov     scratch(%rip), %rax
        ret

// Implicit operands rax, rbx, rcx and rdx, all in use.
KIND cmpxchg16b_rip, 0x30004
        push    %rbx
        movq    $1, scratch(%rip)
        movq    $2, scratch+8(%rip)
        mov     $1, %eax
        mov     $2, %edx
        mov     $3, %ebx
        mov     $4, %ecx
SITE cmpxchg16b_rip
        lock cmpxchg16b scratch(%rip)
        mov     scratch(%rip), %rax
        shl     $16, %rax
        or      scratch+8(%rip), %rax
        pop     %rbx
        ret

KIND sse_rip, 0x0000000400000002
        movdqa  vector(%rip), %xmm0
SITE sse_rip
        paddd   vector(%rip), %xmm0
        movq    %xmm0, %rax
        ret

KIND sse_rip_imm, 0x0000000300000004
SITE sse_rip_imm
        pshufd  $0x1b, vector(%rip), %xmm0
        movq    %xmm0, %rax
        ret

KIND vex_rip, 0x0000000400000002, FEATURE_AVX
        movdqa  vector(%rip), %xmm0
SITE vex_rip
        vpaddd  vector(%rip), %xmm0, %xmm0
        movq    %xmm0, %rax
        ret

KIND evex_rip, 0x0000000300000002, FEATURE_AVX512VL
        movdqa  vector(%rip), %xmm0
SITE evex_rip
        vpaddd  vector(%rip){1to4}, %xmm0, %xmm0
        movq    %xmm0, %rax
        ret

KIND mov_fs, 0
SITE mov_fs
        mov     %fs:0, %rax
        sub     (%rax), %rax
        ret

KIND rdfsbase, 0, FEATURE_FSGSBASE
SITE rdfsbase
        rdfsbase %rax
        sub     %fs:0, %rax
        ret

// ---- moves and arithmetic

KIND movabs, 0x1122334455667788
SITE movabs
        movabs  $0x1122334455667788, %rax
        ret

// The bytes of the constant, from the label site_mid, are "mov $-1,%eax" and "ret".
KIND mid_instruction, 0x9090c3ffffffffb8
SITE mid_instruction
        .byte   0x48, 0xb8
        .globl  site_mid
site_mid:
        .byte   0xb8, 0xff, 0xff, 0xff, 0xff, 0xc3, 0x90, 0x90
        ret
        // With a size the function's symbol tells more than the label in it.
        .size   insn_mid_instruction, . - insn_mid_instruction

KIND mov_ss, 1
        mov     %ss, %ecx
SITE mov_ss
        mov     %ecx, %ss
        mov     $1, %eax
        ret

KIND adc, 0x9
        mov     $3, %eax
        stc
SITE adc
        adc     $5, %eax
        ret

KIND mul, 0xfffffffffffffffe
        mov     $-1, %rax
        mov     $2, %ecx
SITE mul
        mul     %rcx
        dec     %rdx
        or      %rdx, %rax
        ret

KIND div, 0x20e
        mov     $100, %eax
        xor     %edx, %edx
        mov     $7, %ecx
SITE div
        div     %rcx
        shl     $8, %edx
        or      %edx, %eax
        ret

KIND xchg, 0x102
        mov     $1, %eax
        mov     $2, %ecx
SITE xchg
        xchg    %rax, %rcx
        shl     $8, %ecx
        or      %ecx, %eax
        ret

KIND cmpxchg, 0x600
        movq    $5, scratch(%rip)
        mov     $5, %eax
        mov     $6, %ecx
        lea     scratch(%rip), %rdx
SITE cmpxchg
        cmpxchg %rcx, (%rdx)
        setnz   %al
        movzbl  %al, %eax
        shlq    $8, (%rdx)
        or      (%rdx), %rax
        ret

KIND bt, 1
        mov     $0x80, %ecx
        xor     %eax, %eax
SITE bt
        bt      $7, %ecx
        setc    %al
        ret

KIND bts_mem, 0x20
        movq    $0, scratch+8(%rip)
        lea     scratch(%rip), %rcx
        mov     $69, %edx
SITE bts_mem
        bts     %rdx, (%rcx)
        mov     scratch+8(%rip), %rax
        ret

KIND setcc, 1
        xor     %eax, %eax
        cmp     $1, %eax
SITE setcc
        setb    %al
        ret

KIND cmov, 9
        mov     $1, %eax
        mov     $9, %ecx
        cmp     %eax, %eax
SITE cmov
        cmovz   %rcx, %rax
        ret

KIND cqo, -1
        mov     $-3, %rax
        xor     %edx, %edx
SITE cqo
        cqo
        mov     %rdx, %rax
        ret

KIND lahf, 0xd7
        SET_FLAGS ARITHMETIC
        mov     $0, %eax
SITE lahf
        lahf
        shr     $8, %eax
        ret

KIND xlat, 12
        push    %rbx
        lea     translation(%rip), %rbx
        mov     $2, %eax
SITE xlat
        xlatb
        pop     %rbx
        ret

KIND x87, 0x3feaed548f090cee
        fld1
SITE x87
        fsin
        fstpl   -8(%rsp)
        mov     -8(%rsp), %rax
        ret

KIND sse, 0x40a0000040400000
        movaps  floats(%rip), %xmm0
SITE sse
        addps   %xmm0, %xmm0
        movq    %xmm0, %rax
        ret

KIND avx, 0x4020000000000000, FEATURE_AVX
        vmovupd doubles(%rip), %ymm0
SITE avx
        vaddpd  %ymm0, %ymm0, %ymm0
        vextractf128 $1, %ymm0, %xmm1
        vpsrldq $8, %xmm1, %xmm0
        movq    %xmm0, %rax
        ret

KIND fma, 0x4018000000000000, FEATURE_FMA
        movsd   doubles+8(%rip), %xmm0
        movsd   doubles+8(%rip), %xmm1
SITE fma
        vfmadd213sd doubles+8(%rip), %xmm1, %xmm0
        movq    %xmm0, %rax
        ret

KIND avx512, 0x0123456789abcdf0, FEATURE_AVX512VL
        mov     $1, %eax
        vpbroadcastq %rax, %zmm0
        vpbroadcastq constant(%rip), %zmm1
SITE avx512
        vpaddq  %zmm1, %zmm0, %zmm0
        vextracti64x4 $1, %zmm0, %ymm1
        movq    %xmm1, %rax
        ret

// ---- flags

// The saved image must not show a trap flag that a tracer set.
KIND pushf, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE pushf
        pushf
        pop     %rax
        and     $(ARITHMETIC | DIRECTION | TRAP), %eax
        ret

KIND popf, ARITHMETIC | DIRECTION
        push    $(ARITHMETIC | DIRECTION | 0x202)
SITE popf
        popf
        RETURN_FLAGS

KIND std, DIRECTION
        SET_FLAGS 0
SITE std
        std
        RETURN_FLAGS

KIND cld, 0
        SET_FLAGS DIRECTION
SITE cld
        cld
        RETURN_FLAGS

// ---- strings

// Backwards: rsi and rdi go down by one.
KIND std_movsb, 0x5a
        lea     source(%rip), %rsi
        lea     destination(%rip), %rdi
        movb    $0x5a, (%rsi)
        movb    $0, (%rdi)
        lea     -1(%rdi), %rcx
        std
SITE std_movsb
        movsb
        cld
        movzbl  1(%rdi), %eax
        sub     %rdi, %rcx
        shl     $8, %rcx
        or      %rcx, %rax
        ret

// Result: bytes copied << 8 | byte behind them, which is 1; -1 if a byte differs.
        .macro  REP_MOVSB length
KIND rep_movsb_\length, \length << 8 | 1
        lea     source(%rip), %rdi
        mov     $4096, %ecx
        mov     $0x5a, %al
        rep stosb
        lea     destination(%rip), %rdi
        mov     $4097, %ecx
        mov     $1, %al
        rep stosb
        lea     source(%rip), %rsi
        lea     destination(%rip), %rdi
        mov     $\length, %ecx
SITE rep_movsb_\length
        rep movsb
        movzbl  (%rdi), %edx
        lea     destination(%rip), %rax
        sub     %rax, %rdi
        mov     %rdi, %rcx
        jrcxz   2f
1:      cmpb    $0x5a, -1(%rax,%rcx)
        jne     3f
        loop    1b
2:      mov     %rdi, %rax
        shl     $8, %rax
        or      %rdx, %rax
        ret
3:      mov     $-1, %rax
        ret
        .endm

        REP_MOVSB 0
        REP_MOVSB 1
        REP_MOVSB 4096

KIND rep_stosq, 0x200
        lea     destination(%rip), %rdi
        mov     %rdi, %rdx
        mov     $64, %ecx
        mov     $-1, %rax
SITE rep_stosq
        rep stosq
        mov     %rdi, %rax
        sub     %rdx, %rax
        add     %rcx, %rax
        mov     -8(%rdi), %rdx
        inc     %rdx
        or      %rdx, %rax
        ret

// Stops behind the byte of index 99, where they differ: 156 of 256 are left, carry is set.
KIND repe_cmpsb, 0x9c0001
        lea     source(%rip), %rdi
        mov     $256, %ecx
        xor     %eax, %eax
        rep stosb
        lea     destination(%rip), %rdi
        mov     $256, %ecx
        rep stosb
        lea     source(%rip), %rsi
        lea     destination(%rip), %rdi
        movb    $1, 99(%rdi)
        mov     $256, %ecx
SITE repe_cmpsb
        repe cmpsb
        setc    %al
        shl     $16, %ecx
        or      %ecx, %eax
        ret

KIND repne_scasb, 55
        lea     destination(%rip), %rdi
        mov     $64, %ecx
        mov     $2, %al
        rep stosb
        movb    $7, destination+8(%rip)
        lea     destination(%rip), %rdi
        mov     $64, %ecx
        mov     $7, %al
SITE repne_scasb
        repne scasb
        mov     %ecx, %eax
        ret

// ---- the processor and the kernel

KIND cpuid, 1
        push    %rbx
        xor     %eax, %eax
        xor     %ecx, %ecx
SITE cpuid
        cpuid
        cmp     $1, %eax
        setae   %al
        movzbl  %al, %eax
        pop     %rbx
        ret

KIND rdtscp, 1, FEATURE_RDTSCP
        rdtsc
        mov     %eax, %esi
        mov     %edx, %edi
SITE rdtscp
        rdtscp
        sub     %esi, %eax
        sbb     %edi, %edx
        setns   %al
        movzbl  %al, %eax
        ret

KIND xgetbv, 1, FEATURE_OSXSAVE
        xor     %ecx, %ecx
SITE xgetbv
        xgetbv
        and     $1, %eax
        ret

// getpid: rcx must be the address behind the instruction, r11 the flags without TF. Bits that
// are wrong make the result other than 0.
KIND syscall, 0
        SET_FLAGS ARITHMETIC
        mov     $39, %eax
SITE syscall
        syscall
        .globl  after_syscall
after_syscall:
        lea     after_syscall(%rip), %rdx
        xor     %rdx, %rcx
        xor     insn_pid(%rip), %rax
        or      %rcx, %rax
        and     $(ARITHMETIC | DIRECTION | TRAP), %r11d
        xor     $ARITHMETIC, %r11
        or      %r11, %rax
        ret

// ---- faults; see EXPECT_SIGNAL

KIND ud2, 4 << 24 | 2 << 16 | 0x101
        EXPECT_SIGNAL site_ud2, fault_site(%rip), 1f
SITE ud2
        ud2
1:      RETURN_SIGNAL

KIND div0, 8 << 24 | 1 << 16 | 0x101
        EXPECT_SIGNAL site_div0, fault_site(%rip), 1f
        xor     %eax, %eax
        xor     %edx, %edx
        xor     %ecx, %ecx
SITE div0
        div     %rcx
1:      RETURN_SIGNAL

KIND null_load, 11 << 24 | 1 << 16 | 0x101
        EXPECT_SIGNAL site_null_load, $0, 1f
        xor     %eax, %eax
SITE null_load
        mov     (%rax), %rax
1:      RETURN_SIGNAL

KIND rip_load_fault, 11 << 24 | 2 << 16 | 0x101
        lea     fault_page(%rip), %rdx
        EXPECT_SIGNAL site_rip_load_fault, %rdx, 1f
SITE rip_load_fault
        mov     fault_page(%rip), %rax
1:      RETURN_SIGNAL

// A handler that does not move rip but makes the page accessible: resume at the site itself.
KIND fault_retry, 11 << 24 | 2 << 16 | 0x101
        lea     fault_page(%rip), %rdx
        EXPECT_SIGNAL site_fault_retry, %rdx, site_fault_retry
SITE fault_retry
        mov     fault_page(%rip), %rax
        RETURN_SIGNAL

KIND push_fault, 11 << 24 | 2 << 16 | 0x101
        mov     %rsp, %rsi
        lea     fault_page+128(%rip), %rdx
        lea     -8(%rdx), %rdi
        EXPECT_SIGNAL site_push_fault, %rdi, 1f
        mov     %rdx, %rsp
SITE push_fault
        push    %rax
1:      mov     %rsp, %rcx
        mov     %rsi, %rsp
        cmp     %rcx, %rdx
        jne     2f
        RETURN_SIGNAL
2:      xor     %eax, %eax
        ret

KIND call_fault, 11 << 24 | 1 << 16 | 0x001
        EXPECT_SIGNAL site_call_fault, $0, 1f
        xor     %ecx, %ecx
        mov     %rsp, %rsi
SITE call_fault
        call    *%rcx
1:      mov     %rsi, %rsp
        RETURN_SIGNAL

KIND jmp_fault, 11 << 24 | 1 << 16 | 0x001
        EXPECT_SIGNAL site_jmp_fault, $0, 1f
        xor     %ecx, %ecx
SITE jmp_fault
        jmp     *%rcx
1:      RETURN_SIGNAL

KIND hlt, 11 << 24 | 0x80 << 16 | 0x101
        EXPECT_SIGNAL site_hlt, $0, 1f
SITE hlt
        hlt
1:      RETURN_SIGNAL

KIND in, 11 << 24 | 0x80 << 16 | 0x101
        EXPECT_SIGNAL site_in, $0, 1f
        mov     $0x80, %edx
SITE in
        in      %dx, %al
1:      RETURN_SIGNAL

// The program's own breakpoint: rip is behind it.
KIND int3_own, 5 << 24 | 0x80 << 16 | 0x101
        EXPECT_SIGNAL 1f, $0, 1f
SITE int3_own
        int3
1:      RETURN_SIGNAL

// ---- what the kernel's uprobes refuse or execute wrongly (Linux 6.18)

// They look VEX opcodes up among the legacy ones. vpor: that of jmp rel8.
KIND kernel_vpor, 0x0123456789abcdef, FEATURE_AVX
        mov     constant(%rip), %rcx
        vmovq   %rcx, %xmm0
        vpxor   %xmm1, %xmm1, %xmm1
SITE kernel_vpor
        vpor    %xmm0, %xmm1, %xmm1
        vmovq   %xmm1, %rax
        ret

// vpsubsb: that of call.
KIND kernel_vpsubsb, 0x0101010101010101, FEATURE_AVX
        mov     $0x0303030303030303, %rax
        mov     $0x0202020202020202, %rcx
        vmovq   %rax, %xmm0
        vmovq   %rcx, %xmm1
SITE kernel_vpsubsb
        vpsubsb %xmm1, %xmm0, %xmm0
        vmovq   %xmm0, %rax
        ret

// vcmpps: that of ret n.
KIND kernel_vcmpps, 0xffffffffffffffff, FEATURE_AVX
        vmovups floats(%rip), %xmm0
SITE kernel_vcmpps
        vcmpps  $0, %xmm0, %xmm0, %xmm0
        vmovq   %xmm0, %rax
        ret

// vfnmadd132ss: that of popf. -(1.5 * 1.5) + 2.5 is 0.25.
KIND kernel_vfnmadd132ss, 0x3e800000, FEATURE_FMA
        vmovss  floats(%rip), %xmm0
        vmovss  floats+4(%rip), %xmm1
SITE kernel_vfnmadd132ss
        vfnmadd132ss floats(%rip), %xmm1, %xmm0
        vmovd   %xmm0, %eax
        ret

// vpxor: that of out.
KIND kernel_vpxor, 0, FEATURE_AVX
        vmovups floats(%rip), %xmm0
SITE kernel_vpxor
        vpxor   %xmm0, %xmm0, %xmm0
        vmovq   %xmm0, %rax
        ret

KIND kernel_lock, 6
        movq    $5, scratch(%rip)
        lea     scratch(%rip), %rcx
SITE kernel_lock
        lock incq (%rcx)
        mov     scratch(%rip), %rax
        ret

KIND kernel_notrack_jmp, 9
        lea     1f(%rip), %rcx
        mov     $9, %eax
SITE kernel_notrack_jmp
        notrack jmp *%rcx
        xor     %eax, %eax
1:      ret

KIND kernel_cs_nop, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE kernel_cs_nop
        .byte   0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
        RETURN_FLAGS

// As the compiler writes the call of __tls_get_addr.
KIND kernel_tls_call, 7
        push    %rcx
SITE kernel_tls_call
        .byte   0x66, 0x66, 0x48, 0xe8
        .long   helper - . - 4
        pop     %rcx
        ret

// The flags that a probed pushf has pushed go back into the register: a TF of the tracer's in them would be a SIGTRAP.
KIND kernel_pushf_popf, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE kernel_pushf_popf
        pushf
        popf
        RETURN_FLAGS

// A child that starts behind a probed system call: the value is its exit status.
KIND kernel_fork, 42
        sub     $8, %rsp
        mov     $57, %eax
SITE kernel_fork
        syscall
        test    %eax, %eax
        jz      1f
        mov     %eax, %edi
        mov     %rsp, %rsi
        xor     %edx, %edx
        push    %r10
        xor     %r10d, %r10d
        mov     $61, %eax
        syscall
        pop     %r10
        movzbl  1(%rsp), %eax
        add     $8, %rsp
        ret
1:      mov     $42, %edi
        mov     $231, %eax
        syscall

        .section .data.rel.ro.insns, "aw"
        .globl  insn_table_end
insn_table_end:

        .section .note.GNU-stack, "", @progbits
