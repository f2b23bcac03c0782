/* What oracle.c, oracle.S and Layout.java agree upon: addresses, and the memory that both sides see. */
#ifndef ORACLE_H
#define ORACLE_H

/* Two areas for code, one below 4 GiB, where 32-bit addresses reach everything. */
#define LOW_CODE 0x60000000
#define HIGH_CODE 0x555500000000
#define CODE_BYTES 0x20000

/* Relocated code is this far behind the original, or in an area that no displacement of 32 bits from there reaches. */
#define COPY_DISTANCE 0x40000
#define FAR_COPIES 0x6aaa00000000
#define FAR_COPIES_BYTES (2 * CODE_BYTES)

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

/* What the exits use: rax, the address of the exit, and where they lead. It is at the same address in each process, so that
 * no code that a state can read has an address of the driver. */
#define GATE 0x600000000000
#define GATE_RAX GATE
#define GATE_EXIT (GATE + 8)
#define GATE_COME_OUT (GATE + 16)

/* Where lengths are measured: against the end of this page. */
#define LENGTH_PAGE 0x70000000

/* The shared memory: a head, BATCH inputs, BATCH results, and a unit of pairs. */
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
/* Relocated code besides, if its length is not 0; execution begins at IN_ENTRY unless that is 0. */
#define IN_ENTRY 0xa8
#define IN_COPY 0xb0
#define IN_COPY_LENGTH 0xb8
/* Of what was found: the number of the pair, and which of its states it is. */
#define IN_PAIR 0xbc
#define IN_STATE 0xc0
#define IN_CODE 0x100
#define CODE_LIMIT 0x80
#define IN_COPY_CODE 0x180
#define COPY_LIMIT 0x70
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

/* A unit: a head, BATCH pairs, BATCH tallies.  What is found by it is in the first inputs; its results in place and
 * relocated are the results with twice its number and the one behind that. */
#define UNIT_BYTES 0x29000
#define UNIT_COUNT 0x0
#define UNIT_CURRENT 0x4
#define UNIT_SEED 0x8
#define UNIT_FOUND 0x10
#define UNIT_BROKEN 0x14
#define UNIT_PAIRS 0x1000
#define PAIR_BYTES 0x200
#define UNIT_TALLIES 0x21000
#define TALLY_BYTES 0x80
#define MOST_FOUND 32

/* Offsets in a pair. */
#define PAIR_ADDRESS 0x0
#define PAIR_ENTRY 0x8
#define PAIR_COPY 0x10
#define PAIR_LENGTH 0x18
#define PAIR_COPY_LENGTH 0x19
#define PAIR_OPERANDS 0x1a
#define PAIR_TARGET 0x1b
#define PAIR_TARGET_REGISTER 0x1c
#define PAIR_OPTIONS 0x1d
#define PAIR_STATES 0x1e
#define PAIR_CODE 0x20
#define PAIR_OPERAND 0x30
#define PAIR_COPY_CODE 0x80
#define PAIR_FAULTS 0x100

/* PAIR_TARGET: where an indirect branch takes its target from. */
#define TARGET_NONE 0
#define TARGET_REGISTER 1
#define TARGET_MEMORY 2

/* PAIR_OPTIONS. */
#define PAIR_REPEATED 1
/* Each execution differs from the one before, so that there is nothing to add up. */
#define PAIR_VARIES 2
/* An indirect call: of two faults the copy raises the other one. */
#define PAIR_PUSHES_FIRST 4
/* It restores registers from an image in memory. */
#define PAIR_RESTORES 8

/* Offsets in a tally. */
#define TALLY_DIGEST 0x0
#define TALLY_PAIRS 0x8
#define TALLY_COMPLETED 0xc
#define TALLY_SIGNALS 0x10
#define N_SIGNALS 6
#define TALLY_HANGS 0x28
#define TALLY_DIFFERENCES 0x2c
#define TALLY_DROPPED 0x30
#define TALLY_TRANSIENT 0x34
#define TALLY_VARYING 0x38
#define TALLY_OTHER_FAULT 0x3c

#define OUTCOME_NONE 0
#define OUTCOME_EXITED 1
#define OUTCOME_SIGNAL 2
#define OUTCOME_HANG 3

#endif
