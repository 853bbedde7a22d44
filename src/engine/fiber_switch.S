/*
 * See fiber_switch.h. A saved frame, from its stack pointer up, is what fiber_switch pushes; fiber_switch_prepare
 * writes the same by hand, with fiber_begin as the place to go on at.
 *
 * fiber_begin is the outermost frame of every fiber: its return address is declared undefined, so that backtraces and
 * unwinding end there.
 *
 * No GNU property note: an object without one tells the linker that shadow stacks and branch tracking were not thought
 * of, and the system leaves them off.
 */
#if defined(__x86_64__)

/* mxcsr and x87 control word (8 bytes), r15, r14, r13, r12, rbx, rbp, return address. */
#define FRAME_BYTES 64

        .text
        .p2align 4
        .globl  fiber_switch
        .hidden fiber_switch
        .type   fiber_switch, @function
fiber_switch:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)

        movq    %rsp, (%rdi)
        movq    %rsi, %rsp              /* the other stack has the same layout: the CFI holds on */

        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        popq    %rcx                    /* a ret would be predicted to return to our own caller */
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rcx
        jmp     *%rcx
        .cfi_endproc
        .size   fiber_switch, . - fiber_switch

        .p2align 4
        .globl  fiber_switch_prepare
        .hidden fiber_switch_prepare
        .type   fiber_switch_prepare, @function
fiber_switch_prepare:
        .cfi_startproc
        leaq    -FRAME_BYTES(%rdi), %rax
        stmxcsr (%rax)
        fnstcw  4(%rax)
        movq    %rdx, 32(%rax)          /* r12: arg */
        movq    %rsi, 24(%rax)          /* r13: entry */
        movq    $0, 48(%rax)            /* rbp: frame pointers end here */
        leaq    fiber_begin(%rip), %rcx
        movq    %rcx, 56(%rax)
        ret
        .cfi_endproc
        .size   fiber_switch_prepare, . - fiber_switch_prepare

        .p2align 4
        .type   fiber_begin, @function
        .cfi_startproc
        .cfi_undefined %rip
        nop                             /* unwinders look up return address - 1 */
fiber_begin:
        movq    %r12, %rdi
        call    *%r13
        ud2
        .cfi_endproc
        .size   fiber_begin, . - fiber_begin

#elif defined(__aarch64__)

/* d8-d15 (64 bytes), x19-x30 (96 bytes), fpcr (8 bytes and 8 of padding). */
#define FRAME_BYTES 176

        .text
        .p2align 4
        .globl  fiber_switch
        .hidden fiber_switch
        .type   fiber_switch, %function
fiber_switch:
        .cfi_startproc
        sub     sp, sp, #FRAME_BYTES
        .cfi_adjust_cfa_offset FRAME_BYTES
        stp     d8, d9, [sp, #0]
        stp     d10, d11, [sp, #16]
        stp     d12, d13, [sp, #32]
        stp     d14, d15, [sp, #48]
        stp     x19, x20, [sp, #64]
        stp     x21, x22, [sp, #80]
        stp     x23, x24, [sp, #96]
        stp     x25, x26, [sp, #112]
        stp     x27, x28, [sp, #128]
        stp     x29, x30, [sp, #144]
        .cfi_rel_offset x19, 64
        .cfi_rel_offset x20, 72
        .cfi_rel_offset x21, 80
        .cfi_rel_offset x22, 88
        .cfi_rel_offset x23, 96
        .cfi_rel_offset x24, 104
        .cfi_rel_offset x25, 112
        .cfi_rel_offset x26, 120
        .cfi_rel_offset x27, 128
        .cfi_rel_offset x28, 136
        .cfi_rel_offset x29, 144
        .cfi_rel_offset x30, 152
        mrs     x9, fpcr
        str     x9, [sp, #160]

        mov     x10, sp
        str     x10, [x0]
        mov     sp, x1                  /* the other stack has the same layout: the CFI holds on */

        ldr     x10, [sp, #160]
        cmp     x9, x10                 /* writing fpcr is slow, and it hardly ever differs */
        b.eq    1f
        msr     fpcr, x10
1:      ldp     d8, d9, [sp, #0]
        ldp     d10, d11, [sp, #16]
        ldp     d12, d13, [sp, #32]
        ldp     d14, d15, [sp, #48]
        ldp     x19, x20, [sp, #64]
        ldp     x21, x22, [sp, #80]
        ldp     x23, x24, [sp, #96]
        ldp     x25, x26, [sp, #112]
        ldp     x27, x28, [sp, #128]
        ldp     x29, x30, [sp, #144]
        add     sp, sp, #FRAME_BYTES
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size   fiber_switch, . - fiber_switch

        .p2align 4
        .globl  fiber_switch_prepare
        .hidden fiber_switch_prepare
        .type   fiber_switch_prepare, %function
fiber_switch_prepare:
        .cfi_startproc
        sub     x0, x0, #FRAME_BYTES
        stp     x2, x1, [x0, #64]       /* x19: arg, x20: entry */
        adrp    x9, fiber_begin
        add     x9, x9, #:lo12:fiber_begin
        stp     xzr, x9, [x0, #144]     /* x29: frame pointers end here */
        mrs     x9, fpcr
        str     x9, [x0, #160]
        ret
        .cfi_endproc
        .size   fiber_switch_prepare, . - fiber_switch_prepare

        .p2align 4
        .type   fiber_begin, %function
        .cfi_startproc
        .cfi_undefined x30
        nop                             /* unwinders look up return address - 1 */
fiber_begin:
        mov     x0, x19
        blr     x20
        brk     #0
        .cfi_endproc
        .size   fiber_begin, . - fiber_begin

#else
#error "fibers need fiber_switch for this processor: x86-64 and arm64 are here"
#endif

        .section .note.GNU-stack, "", %progbits
