/* Per-CPU counters by restartable sequences (rseq(2)): every instruction has a label, those of the section too.
 *
 *   int percpu_increment(struct rseq *area, struct counter *counters)
 *   int percpu_increment_by(struct rseq *area, struct counter *counters, struct rseq_cs *record)
 *
 * Both return 0 if a counter was incremented, 1 if the section was aborted. The record of the first is in the section
 * __rseq_cs of the file, that of the second is the caller's. Structures and signature are those of linux/rseq.h. In a
 * library the labels are hidden, so that the record is relocated by the load bias alone, as a compiler's is. */
        .text

/* label: instruction */
.macro at label:req, instruction:vararg
        .globl  \label
        .hidden \label
\label: \instruction
.endm

/* From the store of the record's address, which is in rax, to the end of the function. */
.macro increment name:req
        at \name\()_store,   movq %rax, 8(%rdi)         /* rseq_cs */
        at \name\()_start,   movl 4(%rdi), %ecx         /* cpu_id */
        at \name\()_shift,   shlq $7, %rcx
        at \name\()_load,    movq (%rsi,%rcx), %rdx
        at \name\()_add,     leaq 1(%rdx), %rdx
        at \name\()_nop,     nopl 0(%rax,%rax,1)
        at \name\()_commit,  movq %rdx, (%rsi,%rcx)
        at \name\()_end,     xorl %eax, %eax
        at \name\()_return,  ret
        .byte   0x0f, 0xb9, 0x3d                        /* ud1 0x53053053(%rip), %edi */
        .long   0x53053053
        at \name\()_abort,   movl $1, %eax
        at \name\()_aborted, ret
.endm

        .globl  percpu_increment
        .type   percpu_increment, @function
percpu_increment:
        leaq    percpu_record(%rip), %rax
        increment percpu
        .size   percpu_increment, . - percpu_increment

        .globl  percpu_increment_by
        .type   percpu_increment_by, @function
percpu_increment_by:
        movq    %rdx, %rax
        increment made
        .size   percpu_increment_by, . - percpu_increment_by

        .section __rseq_cs, "aw"
        .balign 32
        .globl  percpu_record
        .hidden percpu_record
percpu_record:
        .long   0, 0
        .quad   percpu_start, percpu_end - percpu_start, percpu_abort

        .section .note.GNU-stack, "", @progbits
