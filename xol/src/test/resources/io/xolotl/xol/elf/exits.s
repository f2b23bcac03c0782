# Functions that are left in different ways. Each ends with its size, so that its extent is known.
        .text
        .globl  main
        .macro  function name
        .type   \name, @function
\name:
        .endm
        .macro  end name
        .size   \name, . - \name
        .endm

function returns
        test    %edi, %edi
        jz      1f
returns_first:
        ret
1:      nop
returns_second:
        ret     $16
end returns

function tail
        inc     %edi
tail_exit:
        jmp     returns
end tail

function again
        dec     %edi
        jz      again_end
again_exit:
        jmp     again
again_end:
        ret
end again

function indexed                                # a switch by addresses, or a table of functions
        cmp     $2, %edi
        ja      indexed_end
        jmp     *table(,%rdi,8)
1:      nop
indexed_end:
        ret
end indexed

function relative                               # a switch by distances
        cmp     $2, %edi
        ja      relative_end
        lea     table(%rip), %rdx
        movslq  (%rdx,%rdi,4), %rax
        add     %rdx, %rax
        jmp     *%rax
relative_end:
        ret
end relative

function indirect                               # perhaps a tail call
        mov     (%rdi), %rax
        test    %rax, %rax
        jz      indirect_end
        jmp     *%rax
indirect_end:
        ret
end indirect

function conditional                            # a tail call, if that
        test    %edi, %edi
        jz      returns
conditional_end:
        ret
end conditional

function looping                                # its rare cases are elsewhere
        dec     %edi
        js      moved
looping_back:
        jnz     looping
        jc      never
looping_end:
        ret
end looping

function unlocked                               # as glibc leaves the prefix out
        test    %edi, %edi
        jz      1f
        lock
1:      incl    (%rsi)
unlocked_end:
        ret
end unlocked

function data_within
        ret
        .quad   0x0606060606060606
end data_within

function returns_within                         # data that would be returns, and code behind them
        jmp     1f
        .quad   0xc3c3c3c3c3b8c3c3
1:
returns_within_end:
        ret
end returns_within

function typed_within
        jmp     1f
        .type   constant, @object
constant:
        .quad   0xc3c3c3c3c3c3c3c3
        .size   constant, 8
1:      ret
end typed_within

function unreached                              # as some cases of a switch are
        cmp     $2, %edi
        ja      unreached_end
        lea     table(%rip), %rdx
        movslq  (%rdx,%rdi,4), %rax
        add     %rdx, %rax
        jmp     *%rax
        nop
        ret
unreached_end:
        ret
end unreached

function far_away
        lret
end far_away

function main
        xor     %eax, %eax
        ret
end main

        .section .text.unlikely, "ax", @progbits
function moved
        test    %esi, %esi
        jz      looping_back
moved_end:
        ret
end moved

function never
        call    abort@PLT
end never

        .section .rodata
table:  .quad   0, 0, 0
        .section .note.GNU-stack, "", @progbits
