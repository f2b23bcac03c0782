// The function that most programs call, and whose instructions tests probe. Every
// instruction has its own global label. Its value, in C:
//
//     y = work_table[0] + x;
//     if (x is even) y += work_table[1];
//     return rol(y, 7) ^ x;

        .file   "work.S"

#define AT(name) .globl name; name:
#define FUNCTION(name) .globl name; .type name, @function; .balign 16; name:
#define END(name) .size name, . - name

        .section .rodata
        .balign 16
        .globl  work_table
        .type   work_table, @object
work_table:
        .quad   0x9e3779b97f4a7c15, 0x2545f4914f6cdd1d
        END(work_table)

        .text

FUNCTION(work)
AT(work_push)     push    %rbx
AT(work_mov)      mov     %rdi, %rbx
AT(work_rip_load) mov     work_table(%rip), %rax
AT(work_lea)      lea     work_table(%rip), %rcx
AT(work_add)      add     %rbx, %rax
AT(work_nop)      nopw    0x0(%rax,%rax,1)
AT(work_test)     test    $1, %bl
AT(work_jcc)      jnz     work_odd
AT(work_add_mem)  add     8(%rcx), %rax
AT(work_odd)
AT(work_call)     call    work_helper
AT(work_pop)      pop     %rbx
AT(work_ret)      ret
END(work)

        .type   work_helper, @function
AT(work_helper)   rol     $7, %rax
AT(work_xor)      xor     %rbx, %rax
AT(work_helper_ret) ret
END(work_helper)

FUNCTION(work_thread)
AT(thread_entry)  sub     $8, %rsp
AT(thread_call)   call    work
AT(thread_leave)  add     $8, %rsp
AT(thread_ret)    ret
END(work_thread)

        .section .note.GNU-stack, "", @progbits
