// One function a kind of 32-bit instruction. Each sets things up, executes the instruction at the label site_KIND, and
// returns in eax a value that must be `expected`, probed or not.
//
// The functions may change eax, ecx, edx and the arithmetic flags; insn_call checks that everything else is as it was.

        .file   "i386_insns.S"

// Overflow, sign, zero, adjust, parity and carry; with the direction and the trap flag.
#define ARITHMETIC 0x8d5
#define DIRECTION 0x400
#define TRAP 0x100

        .macro  KIND name, expected
        .pushsection .rodata.insn_names, "a"
name_\name:
        .asciz  "\name"
        .popsection
        .pushsection .data.insns, "aw"
        .long   name_\name, insn_\name, \expected
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
        pop     %eax
        and     $(ARITHMETIC | DIRECTION | TRAP), %eax
        cld
        ret
        .endm

        // The handler in i386.c checks a signal at `site`, with si_addr at `address`, and goes on at `resume`.
        .macro  EXPECT_SIGNAL site, address, resume
        movl    $\site, fault_site
        movl    \address, fault_address
        movl    $\resume, fault_resume
        .endm

        // What the handler saw, as signal << 24 | si_code << 16 | eip as expected << 8 | si_addr as expected.
        .macro  RETURN_SIGNAL
        mov     fault_seen, %eax
        movl    $0, fault_seen
        ret
        .endm

        .section .data.insns, "aw"
        .balign 4
        .globl  insn_table
insn_table:

        .data
        .balign 16
constant:       .long   0x01234567
helper_pointer: .long   helper
bounds:         .long   -5, 5
far_pointer:    .long   0x12345678
                .word   0x2b
                .balign 4
vector:         .long   1, 2, 3, 4
translation:    .byte   10, 11, 12, 13
                .balign 4
        .globl  fault_site, fault_address, fault_resume, fault_seen, insn_pid, gs_block
fault_site:     .long   0
fault_address:  .long   0
fault_resume:   .long   0
fault_seen:     .long   0
insn_pid:       .long   0
insn_esp:       .long   0
insn_ebp:       .long   0
saved_esp:      .long   0
// What gs leads to, with the address of a function where the C library has the kernel's entry.
gs_block:       .long   0, 0, 0, 0, helper, 0, 0, 0

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
        mov     (%esp), %eax
        ret

// unsigned insn_call(insn_function *function, unsigned *damage): calls the function with known values in all registers
// that it must keep, and sets *damage to bits that differ afterwards.
        .globl  insn_call
        .type   insn_call, @function
insn_call:
        push    %ebx
        push    %esi
        push    %edi
        push    %ebp
        mov     20(%esp), %eax
        mov     $0x7b000001, %ebx
        mov     $0x7b000002, %esi
        mov     $0x7b000003, %edi
        mov     $0x7b000004, %ebp
        mov     %esp, insn_esp
        call    *%eax
        pushf
        pop     %ecx
        and     $(DIRECTION | TRAP), %ecx
        mov     %esp, %edx
        xor     insn_esp, %edx
        or      %edx, %ecx
        xor     $0x7b000001, %ebx
        or      %ebx, %ecx
        xor     $0x7b000002, %esi
        or      %esi, %ecx
        xor     $0x7b000003, %edi
        or      %edi, %ecx
        xor     $0x7b000004, %ebp
        or      %ebp, %ecx
        mov     24(%esp), %edx
        mov     %ecx, (%edx)
        pop     %ebp
        pop     %edi
        pop     %esi
        pop     %ebx
        ret

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

KIND endbr32, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE endbr32
        endbr32
        RETURN_FLAGS

// ---- what 64-bit code does not have, or has otherwise

KIND inc, 0x1235
        mov     $0x1234, %eax
SITE inc
        inc     %eax
        ret

KIND dec, 0x1233
        mov     $0x1234, %ecx
SITE dec
        dec     %ecx
        mov     %ecx, %eax
        ret

KIND inc16, 0x12340000
        mov     $0x1234ffff, %eax
SITE inc16
        inc     %ax
        ret

KIND aaa, 0x101
        mov     $0x0b, %eax
        cmp     %eax, %eax
SITE aaa
        aaa
        ret

KIND aas, 0xff05
        mov     $0x0b, %eax
        cmp     %eax, %eax
SITE aas
        aas
        movzwl  %ax, %eax
        ret

KIND aam, 0x0203
        mov     $23, %eax
SITE aam
        aam
        ret

KIND aad, 23
        mov     $0x0203, %eax
SITE aad
        aad
        ret

KIND daa, 0x42
        mov     $0x3c, %eax
        cmp     %eax, %eax
SITE daa
        daa
        ret

KIND das, 0x36
        mov     $0x3c, %eax
        cmp     %eax, %eax
SITE das
        das
        ret

KIND arpl, 0x13
        mov     $0x10, %eax
        mov     $3, %ecx
SITE arpl
        arpl    %cx, %ax
        ret

KIND bound, 5
        mov     $5, %eax
SITE bound
        bound   %eax, bounds
        ret

KIND les, 0x12345678
        push    %es
SITE les
        les     far_pointer, %eax
        pop     %es
        ret

KIND lds, 0x12345678
        push    %ds
SITE lds
        lds     far_pointer, %eax
        pop     %ds
        ret

KIND mov_absolute, 0x01234567
SITE mov_absolute
        mov     constant, %eax
        ret

KIND mov_modrm_absolute, 0x01234567
SITE mov_modrm_absolute
        .byte   0x8b, 0x05
        .long   constant
        ret

KIND lea_absolute, 0
SITE lea_absolute
        .byte   0x8d, 0x05
        .long   constant
        sub     $constant, %eax
        ret

KIND lea_addr16, 0x2222
        push    %ebx
        push    %esi
        mov     $0xffff1111, %ebx
        mov     $0xffff1110, %esi
SITE lea_addr16
        lea     1(%bx,%si), %eax
        pop     %esi
        pop     %ebx
        ret

KIND mov_gs, helper
SITE mov_gs
        mov     %gs:0x10, %eax
        ret

// ---- stack

KIND push_reg, 0x1234
        mov     $0x1234, %ecx
SITE push_reg
        push    %ecx
        pop     %eax
        ret

KIND push_esp, 0
        mov     %esp, %ecx
SITE push_esp
        push    %esp
        pop     %eax
        sub     %ecx, %eax
        ret

KIND push_imm, -5
SITE push_imm
        push    $-5
        pop     %eax
        ret

KIND push_imm16, 0xabcd
        mov     %esp, %ecx
SITE push_imm16
        pushw   $0xabcd
        movzwl  (%esp), %eax
        mov     %ecx, %esp
        ret

KIND push_mem, 0x01234567
SITE push_mem
        push    constant
        pop     %eax
        ret

KIND push_esp_mem, 0x77
        push    $0x77
        push    $0x66
SITE push_esp_mem
        push    4(%esp)
        pop     %eax
        add     $8, %esp
        ret

KIND pop_reg, 0x42
        push    $0x42
SITE pop_reg
        pop     %eax
        ret

KIND pop_esp, 0
        mov     %esp, %ecx
        push    %ecx
SITE pop_esp
        pop     %esp
        mov     %esp, %eax
        sub     %ecx, %eax
        ret

// The address is computed with the esp behind the pop.
KIND pop_esp_mem, 0x55
        push    $0x11
        push    $0x22
        push    $0x55
SITE pop_esp_mem
        pop     4(%esp)
        pop     %ecx
        pop     %eax
        ret

KIND pushad, 0x7b000001 + 32
        mov     %esp, %ecx
SITE pushad
        pushal
        mov     %ecx, %eax
        sub     %esp, %eax
        add     16(%esp), %eax
        mov     %ecx, %esp
        ret

KIND popad, 0x1234
        pushal
        movl    $0x1234, 28(%esp)
SITE popad
        popal
        ret

KIND pushaw, 16
        mov     %esp, %ecx
SITE pushaw
        pushaw
        mov     %ecx, %eax
        sub     %esp, %eax
        mov     %ecx, %esp
        ret

KIND push_es, 0
        mov     %es, %ecx
SITE push_es
        push    %es
        pop     %eax
        movzwl  %ax, %eax
        sub     %ecx, %eax
        ret

KIND push_cs, 0x23
SITE push_cs
        push    %cs
        pop     %eax
        movzwl  %ax, %eax
        ret

KIND pop_es, 0x2b
        push    %ds
SITE pop_es
        pop     %es
        mov     %es, %eax
        ret

KIND pop_ds, 0x2b
        push    %es
SITE pop_ds
        pop     %ds
        mov     %ds, %eax
        ret

KIND mov_ds, 0x2b
        mov     %es, %ecx
SITE mov_ds
        mov     %ecx, %ds
        mov     %ds, %eax
        ret

KIND mov_gs_load, helper
        mov     %gs, %ecx
        xor     %eax, %eax
        mov     %eax, %gs
SITE mov_gs_load
        mov     %ecx, %gs
        mov     %gs:0x10, %eax
        ret

// A null selector that ptrace does not set: registers are written around it. Any return from the kernel makes it 0.
KIND null_fs, 0x77
        push    %fs
        mov     $2, %ecx
        mov     %ecx, %fs
        mov     $0x77, %edx
SITE null_fs
        mov     %edx, %eax
        pop     %fs
        ret

KIND enter, 20
        push    %ebp
        mov     %esp, %ecx
SITE enter
        enter   $16, $0
        lea     -4(%ecx), %eax
        sub     %ebp, %eax
        jnz     1f
        mov     %ecx, %eax
        sub     %esp, %eax
1:      mov     %ecx, %esp
        pop     %ebp
        ret

KIND leave, 0x7b000004
        mov     %esp, %ecx
        push    %ebp
        mov     %esp, %ebp
        sub     $32, %esp
SITE leave
        leave
        mov     %ebp, %eax
        sub     %esp, %ecx
        add     %ecx, %eax
        ret

// ---- flags

KIND pushfd, ARITHMETIC
        SET_FLAGS ARITHMETIC
SITE pushfd
        pushfl
        pop     %eax
        and     $(ARITHMETIC | DIRECTION | TRAP | 0x30000), %eax
        ret

KIND pushfw, ARITHMETIC
        mov     %esp, %ecx
        SET_FLAGS ARITHMETIC
SITE pushfw
        pushfw
        movzwl  (%esp), %eax
        mov     %ecx, %esp
        and     $(ARITHMETIC | DIRECTION | TRAP), %eax
        ret

KIND popfd, (ARITHMETIC | DIRECTION)
        push    $(ARITHMETIC | DIRECTION)
SITE popfd
        popfl
        RETURN_FLAGS

KIND popfw, ARITHMETIC
        mov     %esp, %ecx
        pushw   $ARITHMETIC
SITE popfw
        popfw
        mov     %esp, %edx
        pushfl
        sub     %ecx, %edx
        pop     %eax
        mov     %ecx, %esp
        and     $(ARITHMETIC | DIRECTION | TRAP), %eax
        or      %edx, %eax
        ret

// The ID flag, which cannot be had through ptrace.
KIND popfd_id, 0x200000
        pushfl
        pop     %eax
        mov     %eax, %edx
        xor     $0x200000, %eax
        push    %eax
SITE popfd_id
        popfl
        pushfl
        pop     %eax
        push    %edx
        popfl
        xor     %edx, %eax
        and     $0x200000, %eax
        ret

// ---- calls and returns

KIND call_rel, 7
SITE call_rel
        call    helper
        ret

KIND call_next, 0
SITE call_next
        call    1f
1:      pop     %eax
        sub     $1b, %eax
        ret

KIND call_return_address, 0
SITE call_return_address
        call    return_address
1:      sub     $1b, %eax
        ret

KIND call_reg, 7
        mov     $helper, %ecx
SITE call_reg
        call    *%ecx
        ret

KIND call_mem, 7
        mov     $helper_pointer, %ecx
SITE call_mem
        call    *(%ecx)
        ret

KIND call_absolute, 7
SITE call_absolute
        call    *helper_pointer
        ret

KIND call_gs, 7
SITE call_gs
        call    *%gs:0x10
        ret

// The address is computed with the esp before the push.
KIND call_esp_mem, 7
        push    $helper
SITE call_esp_mem
        call    *(%esp)
        pop     %ecx
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
        mov     %esp, %ecx
        push    $1
        push    $2
        call    1f
        mov     %esp, %eax
        sub     %ecx, %eax
        mov     %ecx, %esp
        ret
1:
SITE ret_n
        ret     $8

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
        .byte   0xe9
        .long   1f - . - 4
        ret
1:      inc     %eax
        ret

KIND jmp_reg, 1
        xor     %eax, %eax
        mov     $1f, %ecx
SITE jmp_reg
        jmp     *%ecx
        ret
1:      inc     %eax
        ret

        .pushsection .rodata
table:  .long   0, taken
        .popsection

KIND jmp_table, 1
        xor     %eax, %eax
        mov     $1, %ecx
SITE jmp_table
        jmp     *table(,%ecx,4)
        ret
taken:  inc     %eax
        ret

KIND jz_taken, 1
        xor     %eax, %eax
SITE jz_taken
        jz      1f
        ret
1:      inc     %eax
        ret

KIND jnz_not_taken, 0
        xor     %eax, %eax
SITE jnz_not_taken
        jnz     1f
        ret
1:      inc     %eax
        ret

KIND jl_rel32, 1
        mov     $-1, %ecx
        xor     %eax, %eax
        cmp     %eax, %ecx
SITE jl_rel32
        .byte   0x0f, 0x8c
        .long   1f - . - 4
        ret
1:      inc     %eax
        ret

KIND loop, 0x50000
        mov     $5, %ecx
        xor     %eax, %eax
1:      add     $0x10000, %eax
SITE loop
        loop    1b
        or      %ecx, %eax
        ret

// Counts cx, and leaves the rest of ecx alone.
KIND loop16, 0x70000003
        mov     $0x70000003, %ecx
        xor     %eax, %eax
1:      inc     %eax
SITE loop16
        addr16 loop 1b
        or      %ecx, %eax
        ret

KIND jcxz, 1
        mov     $0x70000000, %ecx
        xor     %eax, %eax
SITE jcxz
        jcxz    1f
        ret
1:      inc     %eax
        ret

KIND jecxz, 0
        mov     $0x70000000, %ecx
        xor     %eax, %eax
SITE jecxz
        jecxz   1f
        ret
1:      inc     %eax
        ret

// ---- strings, vectors, x87

KIND rep_movs, 0x5a5a5a5a
        push    %esi
        push    %edi
        movl    $0x5a5a5a5a, source + 4092
        mov     $source, %esi
        mov     $destination, %edi
        mov     $1024, %ecx
SITE rep_movs
        rep movsl
        mov     -4(%edi), %eax
        or      %ecx, %eax
        pop     %edi
        pop     %esi
        ret

KIND xlat, 12
        push    %ebx
        mov     $translation, %ebx
        mov     $2, %eax
SITE xlat
        xlat
        pop     %ebx
        ret

KIND cmpxchg8b, 1
        push    %ebx
        movl    $5, destination
        movl    $6, destination + 4
        mov     $5, %eax
        mov     $6, %edx
        mov     $1, %ebx
        mov     $2, %ecx
SITE cmpxchg8b
        lock cmpxchg8b destination
        mov     destination, %eax
        pop     %ebx
        ret

KIND x87, 3
        sub     $4, %esp
        fldpi
SITE x87
        fistpl  (%esp)
        pop     %eax
        ret

// ---- system calls

KIND int80, 0
        mov     $20, %eax
        push    %ebx
        mov     $0x11, %ecx
        mov     $0x22, %edx
SITE int80
        int     $0x80
        sub     insn_pid, %eax
        xor     $0x11, %ecx
        or      %ecx, %eax
        xor     $0x22, %edx
        or      %edx, %eax
        pop     %ebx
        ret

KIND int80_flags, (ARITHMETIC | DIRECTION)
        mov     $20, %eax
        SET_FLAGS (ARITHMETIC | DIRECTION)
SITE int80_flags
        int     $0x80
        RETURN_FLAGS

KIND int80_fails, -38
        mov     $0xffff, %eax
SITE int80_fails
        int     $0x80
        ret

        .pushsection .rodata.insn_names, "a"
name_restarted:         .asciz  "restarted"
name_interrupted:       .asciz  "interrupted"
        .popsection
        .pushsection .data.insns, "aw"
        .long   name_restarted, restarted_call, 1
        .long   name_interrupted, interrupted_call, -4
        .popsection

// ---- faults

// SIGSEGV at a load, which the handler lets be executed again; SEGV_ACCERR.
KIND load_fault, 0x0b020101
        EXPECT_SIGNAL site_load_fault, $fault_page, site_load_fault
SITE load_fault
        mov     fault_page, %eax
        RETURN_SIGNAL

KIND ud2, 0x04020101
        EXPECT_SIGNAL site_ud2, $site_ud2, 1f
SITE ud2
        ud2
1:      RETURN_SIGNAL

KIND div_fault, 0x08010101
        EXPECT_SIGNAL site_div_fault, $site_div_fault, 1f
        xor     %ecx, %ecx
        xor     %edx, %edx
SITE div_fault
        div     %ecx
1:      RETURN_SIGNAL

// The kernel tells no address.
KIND bound_fault, 0x0b800101
        EXPECT_SIGNAL site_bound_fault, $0, 1f
        mov     $6, %eax
SITE bound_fault
        bound   %eax, bounds
1:      RETURN_SIGNAL

KIND push_fault, 0x0b020101
        EXPECT_SIGNAL site_push_fault, $(fault_page + 4092), 1f
        mov     %esp, saved_esp
        mov     $(fault_page + 4096), %esp
SITE push_fault
        push    %eax
1:      mov     saved_esp, %esp
        RETURN_SIGNAL

KIND call_mem_fault, 0x0b020101
        EXPECT_SIGNAL site_call_mem_fault, $fault_page, 1f
SITE call_mem_fault
        call    *fault_page
1:      RETURN_SIGNAL

KIND call_push_fault, 0x0b020101
        EXPECT_SIGNAL site_call_push_fault, $(fault_page + 4092), 1f
        mov     %esp, saved_esp
        mov     $(fault_page + 4096), %esp
SITE call_push_fault
        call    helper
1:      mov     saved_esp, %esp
        RETURN_SIGNAL

KIND ret_fault, 0x0b020101
        EXPECT_SIGNAL site_ret_fault, $fault_page, 1f
        mov     %esp, saved_esp
        mov     $fault_page, %esp
SITE ret_fault
        ret
1:      mov     saved_esp, %esp
        RETURN_SIGNAL

// The program faults at the target of the jump, not at the jump. SEGV_MAPERR.
KIND jmp_nowhere, 0x0b010101
        EXPECT_SIGNAL 16, $16, 1f
        mov     $16, %ecx
SITE jmp_nowhere
        jmp     *%ecx
1:      RETURN_SIGNAL

// ---- refused

KIND mov_ss, 1
        mov     %ss, %ecx
SITE mov_ss
        mov     %ecx, %ss
        mov     $1, %eax
        ret

KIND pop_ss, 1
        push    %ss
SITE pop_ss
        pop     %ss
        mov     $1, %eax
        ret

KIND into, 1
        xor     %eax, %eax
SITE into
        into
        inc     %eax
        ret

KIND far_call, 2
SITE far_call
        lcall   $0x23, $1f
        mov     $2, %eax
        ret
1:
SITE far_ret
        lret

KIND jmp16, 1
        mov     $1, %eax
        jmp     1f
SITE jmp16
        .byte   0x66, 0xeb, 0x00
1:      ret

KIND hlt, 1
        mov     $1, %eax
        jmp     1f
SITE hlt
        hlt
SITE sysenter
        sysenter
SITE syscall
        .byte   0x0f, 0x05
SITE int3_own
        int3
1:      ret

        .section .data.insns, "aw"
        .globl  insn_table_end
insn_table_end:

        .section .note.GNU-stack, "", @progbits
