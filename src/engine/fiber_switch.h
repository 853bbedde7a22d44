/*
 * The switch between two stacks, in assembly for x86-64 and arm64 (fiber_switch.S). For fiber.c only.
 *
 * A stack that was left is known by its stack pointer alone: the registers that a callee must preserve lie on it, with
 * the rounding and exception modes of the floating point unit (mxcsr and x87 control word, fpcr), for those belong to
 * who set them.
 */
#pragma once

/* Leaves this stack, notes in *save where it was left, and goes on where `restore` was. Returns when somebody
 * switches back. */
void fiber_switch(void **save, void *restore);

/* Makes a new stack look as if it had been left: the first switch to what this returns calls entry(arg), which must not
 * return. `top` is the end of the stack, aligned to 16 bytes; less than 256 bytes of it are written. */
void *fiber_switch_prepare(void *top, void (*entry)(void *arg), void *arg);
