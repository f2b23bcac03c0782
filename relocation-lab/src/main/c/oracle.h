/* What oracle.c, oracle.S and Layout.java agree upon: addresses, and the memory that both sides see. */
#ifndef ORACLE_H
#define ORACLE_H

/* Two areas for code, one below 4 GiB, where 32-bit addresses reach everything. */
#define LOW_CODE 0x60000000
#define HIGH_CODE 0x555500000000
#define CODE_BYTES 0x20000

/* The exit behind each piece of code is a jump all of whose displacement bytes are int3, so that a branch to any place
 * but its first byte traps. It leads to a stub this far away. */
#define EXIT_DISPLACEMENT 0xcccccccc
#define LOW_EXITS 0x2cccc000
#define HIGH_EXITS 0x5554cccc0000
#define EXITS_BYTES 0x30000

/* Nothing can be mapped from 19 MiB below the high code to 4 GiB above it, except what is here. So slots for the high
 * code lie below, and reach NEAR but not FAR. No round number: random indices would lead there. */
#define RESERVED (HIGH_CODE - 0x1357000)
#define RESERVED_BYTES 0x102357000

/* And nothing around the low data. */
#define LOW_RESERVED 0x4ff00000
#define LOW_RESERVED_BYTES 0x300000

#define REGION_BYTES 0x2000
#define LOW_DATA 0x50000000
#define NEAR_DATA (HIGH_CODE + 0x100000)
#define STACK (HIGH_CODE + 0x200000)
#define CONSTANT (HIGH_CODE + 0x300000)
#define FAR_DATA (HIGH_CODE + 0x7f800000)

/* Where lengths are measured: against the end of this page. */
#define LENGTH_PAGE 0x70000000

/* The shared memory: a head, then BATCH inputs, then BATCH results. */
#define SHARED 0x600000000000
#define HEAD_BYTES 0x1000
#define BATCH 256
#define RECORD_BYTES 0xa000

/* Offsets in an input. */
#define IN_ADDRESS 0x0
#define IN_LENGTH 0x8
#define IN_OPTIONS 0xc
#define IN_GENERAL 0x10
#define IN_FLAGS 0x90
#define IN_FS_BASE 0x98
#define IN_GS_BASE 0xa0
#define IN_CODE 0x100
#define CODE_LIMIT 0x80
#define OPTION_SYSTEM_CALLS 1
#define OPTION_REGIONS 2

/* Offsets in a result. */
#define OUT_OUTCOME 0x0
#define OUT_SIGNAL 0x4
#define OUT_CODE 0x8
#define OUT_GENERAL 0x10
#define OUT_FLAGS 0x90
#define OUT_FS_BASE 0x98
#define OUT_GS_BASE 0xa0
#define OUT_RIP 0xa8
#define OUT_ADDRESS 0xb0
#define OUT_TRAP 0xb8
#define OUT_ERROR 0xc0
#define OUT_CR2 0xc8
#define OUT_SELECTORS 0xd0
#define OUT_LENGTH 0xd8

/* In both: the XSAVE image in standard form, and the writable regions LOW_DATA, NEAR_DATA, STACK, FAR_DATA. */
#define XSAVE_IMAGE 0x1000
#define XSAVE_BYTES 0xa80
#define REGIONS 0x2000
#define N_REGIONS 4

#define OUTCOME_NONE 0
#define OUTCOME_EXITED 1
#define OUTCOME_SIGNAL 2
#define OUTCOME_HANG 3

#endif
