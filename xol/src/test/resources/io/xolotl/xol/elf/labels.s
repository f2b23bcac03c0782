# Symbols as hand-written assembly has them: without type and size.
	.text
	.globl label_sizeless, label_next, label_last, label_inside, outer, absolute_value
label_sizeless:
	nop
	nop
	ret
label_next:
	nop
	ret
	.type outer, @function
outer:
	nop
label_inside:
	nop
	nop
	ret
	.size outer, . - outer
	.section own_code, "ax", @progbits
label_last:
	nop
	nop
	ret
	.set absolute_value, 0x1234
	.section .note.GNU-stack, "", @progbits
