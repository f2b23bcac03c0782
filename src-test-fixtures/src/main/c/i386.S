// The parts of the 32-bit program that C cannot say. work() is, in C:
//
//     y = work_table[0] + x;
//     if (x is even) y += work_table[1];
//     return rol(y, 7) ^ x;

        .file   "i386.S"

#define AT(name) .globl name; name:
#define FUNCTION(name) .globl name; .type name, @function; .balign 16; name:
#define END(name) .size name, . - name

        .section .rodata
        .balign 4
        .globl  work_table
work_table:
        .long   0x9e3779b9, 0x2545f491

        .text

FUNCTION(_start)
        mov     %esp, %eax
        and     $-16, %esp
        sub     $12, %esp
        push    %eax
        call    start
        hlt
END(_start)

// The table is found as position independent code finds it: relative to its own address.
FUNCTION(work)
AT(work_push)     push    %ebx
AT(work_mov)      mov     8(%esp), %ebx
AT(work_pic)      call    work_here
AT(work_here)     pop     %ecx
AT(work_lea)      lea     (work_table - work_here)(%ecx), %ecx
AT(work_load)     mov     (%ecx), %eax
AT(work_add)      add     %ebx, %eax
AT(work_nop)      nopw    0x0(%eax,%eax,1)
AT(work_test)     test    $1, %bl
AT(work_jcc)      jnz     work_odd
AT(work_add_mem)  add     4(%ecx), %eax
AT(work_odd)
AT(work_call)     call    work_helper
AT(work_inc)      inc     %ecx
AT(work_pop)      pop     %ebx
AT(work_ret)      ret
END(work)

        .type   work_helper, @function
AT(work_helper)   rol     $7, %eax
AT(work_xor)      xor     %ebx, %eax
AT(work_helper_ret) ret
END(work_helper)

FUNCTION(system_call)
        push    %ebx
        push    %esi
        push    %edi
        mov     16(%esp), %eax
        mov     20(%esp), %ebx
        mov     24(%esp), %ecx
        mov     28(%esp), %edx
        mov     32(%esp), %esi
        mov     36(%esp), %edi
AT(site_system_call)
        int     $0x80
        pop     %edi
        pop     %esi
        pop     %ebx
        ret
END(system_call)

// CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
FUNCTION(start_thread)
        mov     $0x50f00, %edx
        jmp     start_clone
END(start_thread)

// CLONE_VM | SIGCHLD
FUNCTION(start_process)
        mov     $0x111, %edx
        jmp     start_clone
END(start_process)

// The flags are in edx. The child finds the function and its argument on its stack.
        .type   start_clone, @function
start_clone:
        push    %ebx
        push    %esi
        push    %edi
        mov     16(%esp), %ecx
        sub     $8, %ecx
        mov     20(%esp), %eax
        mov     %eax, (%ecx)
        mov     24(%esp), %eax
        mov     %eax, 4(%ecx)
        mov     %edx, %ebx
        xor     %edx, %edx
        xor     %esi, %esi
        xor     %edi, %edi
        mov     $120, %eax
AT(site_clone)
        int     $0x80
        test    %eax, %eax
        jz      new_thread
        pop     %edi
        pop     %esi
        pop     %ebx
        ret
AT(new_thread)
        pop     %eax
        call    *%eax
        mov     %eax, %ebx
        mov     $1, %eax
        int     $0x80
        hlt
END(start_clone)

// The child uses the same stack, so what the parent needs of it is in registers.
FUNCTION(vfork_work)
        push    %ebx
        push    %esi
        mov     12(%esp), %esi
        mov     $190, %eax
AT(site_vfork)
        int     $0x80
        test    %eax, %eax
        jz      vfork_child
        pop     %esi
        pop     %ebx
        ret
vfork_child:
        push    %esi
        call    work
        movzbl  %al, %ebx
        mov     $1, %eax
        int     $0x80
        hlt
END(vfork_work)

// Not byte for byte those of the C library and the vDSO, which are left alone because they are known so.
FUNCTION(restore)
        pop     %eax
        mov     $119, %eax
        nop
AT(site_sigreturn)
        int     $0x80
        hlt
END(restore)

FUNCTION(restore_rt)
        mov     $173, %eax
        nop
AT(site_rt_sigreturn)
        int     $0x80
        hlt
END(restore_rt)

// In 32-bit code the byte 48 is dec %eax, in 64-bit code it is a prefix of what follows.
FUNCTION(twice_and_one)
        mov     4(%esp), %eax
AT(far_call)
        lcall   $0x33, $code_64
        ret
END(twice_and_one)

        .code64
FUNCTION(code_64)
AT(code_64_add)   add     %rax, %rax
AT(code_64_one)   add     $1, %rax
AT(code_64_ret)   lretl
END(code_64)
        .code32

        .section .note.GNU-stack, "", @progbits
