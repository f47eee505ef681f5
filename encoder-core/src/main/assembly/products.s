# The machine code of MachineCode.java. x86-64, System V calling convention, position independent.
# Build:  as products.s -o products.o && objcopy -O binary -j .text products.o products.bin
#
# Products. All are void f(long *p) and compute, for `panels` panels of 32 columns,
#   output[r][c] = start[r][c] + sum over d of left[r][d] * panel[d][c]
#   p[0]  left: rows of int8, bf16 or fp32
#   p[1]  bytes from one row of the left side to the next
#   p[2]  the first panel: for every 4 bytes of depth the 4 bytes of each of 32 columns
#   p[3]  bytes from one panel to the next
#   p[4]  steps: bytes of depth / 4; for tile_* a multiple of 16
#   p[5]  output: int32, or fp32
#   p[6]  bytes from one row of the output to the next
#   p[7]  rows: a multiple of 4 (dot_*), any number (tile_*)
#   p[8]  panels
#   p[9]  start: int32, or fp32, which may be the output; or 0 for zeros
#   p[10] bytes from one row of the start to the next; 0 for the same row always
#   p[11] for dot_* alone: bytes from one step of the left side to the next; 4 where rows lie as
#         p[1] says
# tile_gelu is tile_bf16 of x * Phi(x), absolute error below 4e-5, written as bf16: a panel has 64 bytes
# of each row of the output, which has room for rows up to a multiple of 4.
# tile_scaled is a product of int8 with scales, written as fp32, for rows up to a multiple of 4:
#   (sum - excess of the row) * scale of the row * scale of the column + bias of the column
# and tile_scaled_gelu is x * Phi(x) of that. They start with zeros, and take
#   p[9]  for each row 8 bytes: the scale as fp32, the excess as int32
#   p[10] 8
#   p[11] fp32: scales of the columns
#   p[12] their biases
# int8 is signed on the left and unsigned in the panels, in both kinds of product. What was kept in
# tiles or in the upper halves of vectors is released before the return.

    .intel_syntax noprefix

# ---- What all products begin and end with; [rsp] is where the output of a panel lies --------------

    .macro ENTER
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    .endm

    .macro ARGUMENTS
    mov rsi, [rdi+8]
    mov rdx, [rdi+16]
    mov rcx, [rdi+32]
    mov r10, [rdi+48]
    mov rbx, [rdi+64]
    .endm

    .macro LEAVE
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
    .endm

# ---- AVX-512: 12, 8 or 4 rows x 32 columns of sums in zmm0 to zmm23 ------------------------------
# rsi row bytes, r12 three times that, rdx panel, rcx steps, r8 left rows, r9 output rows, r10 output
# row bytes, r11 rows to do, rbx panels to do; rax, r13, r14: rows 0, 4, 8; r15 panel, rbp steps;
# [rsp+8] start of the panel, [rsp+16] of the rows. Each number of the left side is loaded once for
# both halves of the panel: processors load two vectors in a cycle, and 24 sums want 14 instead of 26.
# Weights are asked for 96 steps ahead, because processors stop doing so by themselves at each page.

    .macro ROW op, address, left, right
    vbroadcastss zmm29, dword ptr [\address]
    \op \left, zmm30, zmm29
    \op \right, zmm31, zmm29
    .endm

    .macro STORE left, right
    vmovups [r9], \left
    vmovups [r9+64], \right
    add r9, r10
    .endm

    .macro LOAD left, right
    vmovups \left, [rax]
    vmovups \right, [rax+64]
    add rax, rbp
    .endm

    .macro BLOCK rows, op
    cmp qword ptr [rdi+72], 0
    je .Lzero\@
    mov rax, [rsp+16]
    mov rbp, [rdi+80]
    LOAD zmm0, zmm1
    LOAD zmm2, zmm3
    LOAD zmm4, zmm5
    LOAD zmm6, zmm7
    .if \rows > 4
    LOAD zmm8, zmm9
    LOAD zmm10, zmm11
    LOAD zmm12, zmm13
    LOAD zmm14, zmm15
    .endif
    .if \rows > 8
    LOAD zmm16, zmm17
    LOAD zmm18, zmm19
    LOAD zmm20, zmm21
    LOAD zmm22, zmm23
    .endif
    mov [rsp+16], rax
    jmp .Lstart\@
.Lzero\@:
    .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23
    .if \i < 2*\rows
    vpxord zmm\i, zmm\i, zmm\i
    .endif
    .endr
.Lstart\@:
    mov rax, r8
    lea r13, [r8+rsi*4]
    lea r14, [r8+rsi*8]
    mov r15, rdx
    mov rbp, rcx
.Ldepth\@:
    vmovups zmm30, [r15]
    vmovups zmm31, [r15+64]
    prefetcht0 [r15+12288]
    prefetcht0 [r15+12288+64]
    ROW \op, rax,       zmm0, zmm1
    ROW \op, rax+rsi,   zmm2, zmm3
    ROW \op, rax+rsi*2, zmm4, zmm5
    ROW \op, rax+r12,   zmm6, zmm7
    .if \rows > 4
    ROW \op, r13,       zmm8, zmm9
    ROW \op, r13+rsi,   zmm10, zmm11
    ROW \op, r13+rsi*2, zmm12, zmm13
    ROW \op, r13+r12,   zmm14, zmm15
    .endif
    .if \rows > 8
    ROW \op, r14,       zmm16, zmm17
    ROW \op, r14+rsi,   zmm18, zmm19
    ROW \op, r14+rsi*2, zmm20, zmm21
    ROW \op, r14+r12,   zmm22, zmm23
    .endif
    add rax, [rdi+88]
    add r13, [rdi+88]
    add r14, [rdi+88]
    add r15, 128
    dec rbp
    jnz .Ldepth\@
    STORE zmm0, zmm1
    STORE zmm2, zmm3
    STORE zmm4, zmm5
    STORE zmm6, zmm7
    .if \rows > 4
    STORE zmm8, zmm9
    STORE zmm10, zmm11
    STORE zmm12, zmm13
    STORE zmm14, zmm15
    .endif
    .if \rows > 8
    STORE zmm16, zmm17
    STORE zmm18, zmm19
    STORE zmm20, zmm21
    STORE zmm22, zmm23
    .endif
    .rept \rows / 4
    lea r8, [r8+rsi*4]
    .endr
    .endm

    .macro PRODUCT name, op
\name:
    ENTER
    push 0
    push qword ptr [rdi+72]
    push qword ptr [rdi+40]
    ARGUMENTS
    lea r12, [rsi+rsi*2]
.Lpanel\@:
    mov r8, [rdi]
    mov r9, [rsp]
    mov r11, [rdi+56]
    mov rax, [rsp+8]
    mov [rsp+16], rax
.Lrows\@:
    cmp r11, 12
    jb .Leight\@
    BLOCK 12, \op
    sub r11, 12
    jmp .Lrows\@
.Leight\@:
    cmp r11, 8
    jb .Lfour\@
    BLOCK 8, \op
    sub r11, 8
.Lfour\@:
    test r11, r11
    jz .Lnext\@
    BLOCK 4, \op
.Lnext\@:
    add rdx, [rdi+24]
    add qword ptr [rsp], 128
    add qword ptr [rsp+8], 128
    dec rbx
    jnz .Lpanel\@
    vzeroupper
    add rsp, 24
    LEAVE
    .endm


# ---- What becomes of sums, four rows of two vectors at r10; it is written at r9 --------------------
# then: 0 nothing, 1 GELU as bf16, 2 scales as fp32, 3 scales and GELU.

    .macro GELU_BEGIN
    .irp c,16,17,18,19,20,21,22,23,24,25,26,27
    vbroadcastss zmm\c, [rip+gelu_constants+4*(\c-16)]
    .endr
    vpxord zmm28, zmm28, zmm28
    .endm

    .macro THEN then
    .if \then == 1
    call gelu_rows
    .elseif \then == 2
    call scaled_rows
    .else
    call scaled_gelu_rows
    .endif
    .endm

    .macro THEN_REST then
.Lthenrest\@:
    cmp r10, [rsp+88]
    jae .Lthendone\@
    THEN \then
    jmp .Lthenrest\@
.Lthendone\@:
    .endm

# ---- AMX: 32 or 16 rows x 32 columns of sums in tmm0 to tmm3, the last rows in smaller tiles ------
# rsi row bytes, rdx panel, rcx steps, r8 left rows, r9 output, r10 output row bytes, r11 rows to do,
# r12 start or 0, rbx panels to do; rax 128, the bytes from one row of a panel's tile to the next; r13,
# r14: rows 0 and 16; r15 panel, rbp steps; [rsp] shapes of the tiles of the last rows, [rsp+64]
# output of the rows, [rsp+72] their start, [rsp+80] the caller's rsp. All panels follow each other
# while 32 rows of the left side stay in the first cache, so that panels want to be in the second.
# Where something becomes of sums, they go to [rsp+128], and vectors work on them while tiles multiply
# the next panel: r10 is where they are read, up to [rsp+88], r9 where they are written, [rsp+96] where
# those of the panel at work will be, and [rsp+104] the bytes of its sums. With scales, r12 is free,
# [rsp+72] the scales and excesses of the rows, [rsp+112] those of the sums at r10, and [rsp+120] how
# far their columns are behind the first. Few rows ask for panels 12 kB ahead: that is memory's speed.
# Where rows are many, panels are loaded past the first cache (tileloaddt1): they would sweep it.

    .macro TILE_ROWS rows, op, then, load
    mov r12, [rsp+72]
    mov rdx, [rdi+16]
    mov rbx, [rdi+64]
    .if \then
    mov r13, [rsp+64]
    mov [rsp+96], r13
    .else
    mov r9, [rsp+64]
    .endif
.Ltilepanel\@:
    .if \then < 2
    test r12, r12
    jnz .Ltilestart\@
    .endif
    tilezero tmm0
    tilezero tmm1
    .if \rows > 16
    tilezero tmm2
    tilezero tmm3
    .endif
    .if \then < 2
    jmp .Ltilebegin\@
.Ltilestart\@:
    mov r14, [rdi+80]
    tileloadd tmm0, [r12+r14]
    tileloadd tmm1, [r12+r14+64]
    .if \rows > 16
    mov r13, r14
    shl r13, 4
    add r13, r12
    tileloadd tmm2, [r13+r14]
    tileloadd tmm3, [r13+r14+64]
    .endif
    add r12, 128
.Ltilebegin\@:
    .endif
    mov r13, r8
    mov r14, rsi
    shl r14, 4
    add r14, r8
    mov r15, rdx
    mov rbp, rcx
.Ltiledepth\@:
    .if \rows == 16
    .irp line,0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
    prefetcht0 [r15+12288+64*\line]
    .endr
    .endif
    \load tmm6, [r15+rax]
    tileloadd tmm4, [r13+rsi]
    \op tmm0, tmm4, tmm6
    .if \rows > 16
    tileloadd tmm5, [r14+rsi]
    \op tmm2, tmm5, tmm6
    .endif
    \load tmm7, [r15+rax+64]
    \op tmm1, tmm4, tmm7
    .if \rows > 16
    \op tmm3, tmm5, tmm7
    .endif
    .if \then
    cmp r10, [rsp+88]
    jae .Ltilethen\@
    THEN \then
.Ltilethen\@:
    .endif
    add r13, 64
    add r14, 64
    add r15, 2048
    sub rbp, 16
    jnz .Ltiledepth\@
    .if \then
    THEN_REST \then
    lea r10, [rsp+128]
    tilestored [r10+rax], tmm0
    tilestored [r10+rax+64], tmm1
    .if \rows > 16
    tilestored [r10+rax+2048], tmm2
    tilestored [r10+rax+2048+64], tmm3
    .endif
    mov r9, [rsp+96]
    .if \then == 1
    add qword ptr [rsp+96], 64
    .else
    mov r13, r9
    sub r13, [rsp+64]
    mov [rsp+120], r13
    add qword ptr [rsp+96], 128
    mov r13, [rsp+72]
    mov [rsp+112], r13
    .endif
    mov r13, [rsp+104]
    add r13, r10
    mov [rsp+88], r13
    .else
    tilestored [r9+r10], tmm0
    tilestored [r9+r10+64], tmm1
    .if \rows > 16
    mov r13, r10
    shl r13, 4
    add r13, r9
    tilestored [r13+r10], tmm2
    tilestored [r13+r10+64], tmm3
    .endif
    add r9, 128
    .endif
    add rdx, [rdi+24]
    dec rbx
    jnz .Ltilepanel\@
    .endm

    .macro TILE_BEGIN
    ARGUMENTS
    mov r8, [rdi]
    mov r11, [rdi+56]
    mov r12, [rdi+72]
    mov r9, [rdi+40]
    mov [rsp+64], r9
    mov [rsp+72], r12
    mov eax, 128
    .endm

# Goes on to the next 32 rows: greater where there are some.
    .macro TILE_NEXT
    mov r13, rsi
    shl r13, 5
    add r8, r13
    mov r13, [rdi+48]
    shl r13, 5
    add [rsp+64], r13
    cmp qword ptr [rsp+72], 0
    je .Ltilenext\@
    mov r13, [rdi+80]
    shl r13, 5
    add [rsp+72], r13
.Ltilenext\@:
    sub r11, 32
    .endm

    .macro TILE_PRODUCT name, op, then=0
\name:
    ENTER
    mov rax, rsp
    .if \then
    sub rsp, 128+4096
    .else
    sub rsp, 128
    .endif
    and rsp, -64
    mov [rsp+80], rax
    ldtilecfg [rip+tile_shapes]
    TILE_BEGIN
    .if \then & 1
    GELU_BEGIN
    .endif
    .if \then
    xor r10d, r10d
    mov [rsp+88], r10
    mov qword ptr [rsp+104], 4096
    .endif
.Ltilerows\@:
    cmp r11, 32
    jae .Ltiletwo\@
    .irp i,0,8,16,24,32,40,48,56
    mov r13, [rip+tile_shapes+\i]
    mov [rsp+\i], r13
    .endr
    .if \then
    lea r13, [r11+3]
    and r13, -4
    shl r13, 7
    mov [rsp+104], r13
    .endif
    cmp r11, 16
    jbe .Ltilefew\@
    lea r13, [r11-16]
    mov [rsp+50], r13b
    mov [rsp+51], r13b
    mov [rsp+53], r13b
    ldtilecfg [rsp]
.Ltiletwo\@:
    TILE_ROWS 32, \op, \then, tileloaddt1
    TILE_NEXT
    jg .Ltilerows\@
    jmp .Ltiledone\@
.Ltilefew\@:
    mov [rsp+48], r11b
    mov [rsp+49], r11b
    mov [rsp+52], r11b
    ldtilecfg [rsp]
    TILE_ROWS 16, \op, \then, tileloadd
.Ltiledone\@:
    .if \then
    THEN_REST \then
    vzeroupper
    .endif
    tilerelease
    mov rsp, [rsp+80]
    LEAVE
    .endm

# ---- Functions on rows: void f(long *p) ------------------------------------------------------------
#   p[0]  source
#   p[1]  bytes from one row of the source to the next
#   p[2]  rows of the source: a multiple of 16 (turn), any number (all others)
#   p[3]  its columns: a multiple of 16 (turn, pair_rows, scale), of 32 (round_bf16, norm), any number
#         (round_int8)
#   p[4]  target, which may be the source where it is fp32
#   p[5]  bytes from one row of the target to the next
#   p[6]  factors of the rows (scale), of all (round_bf16), of the columns (norm); written by
#         round_int8: for each row the largest magnitude / 127 as fp32, and 128 times the sum of what
#         became of the row as int32
# norm reads more:
#   p[7]  fp32: epsilon
#   p[8]  what is added to the columns
#   p[9]  rows that are added to those of the source, one by one; they may be the target; 0 for none
#   p[10] bytes from one of these rows to the next
#   p[11] whether the mean is taken off: 0 for not
# turn        numbers of four bytes; the rows of the target are the columns of the source
# pair_rows   two rows of fp32 as one of pairs of bf16, the first in the lower halves; zeros are the
#             last one's pair where rows are odd
# scale       rows of fp32 times a number for each
# round_bf16  rows of fp32 times one number, as rows of bf16
# round_int8  rows of fp32 times 127 / their largest magnitude, as rows of int8, which end with zeros
#             where the next begins; p[5] is a multiple of 16
# norm        rows of fp32, their sums with others, normalised

# turn takes 16 rows at a time. rsi source row bytes, rax three times that, r8 to r11: rows 0, 4, 8,
# 12; rdx rows to do, rcx columns to do, r12 the first of these rows, r13 target, rbx target row bytes,
# rbp three times that, r14 the target of these rows. Quarters of vectors come from rows 4 apart: with
# that, four vectors hold what belongs to four rows of the target.

    .macro QUARTERS to, at
    vmovups xmm\to, [r8+\at]
    vinsertf32x4 zmm\to, zmm\to, [r9+\at], 1
    vinsertf32x4 zmm\to, zmm\to, [r10+\at], 2
    vinsertf32x4 zmm\to, zmm\to, [r11+\at], 3
    .endm

    .macro FOUR_COLUMNS
    QUARTERS 0, 0
    QUARTERS 1, rsi
    QUARTERS 2, rsi*2
    QUARTERS 3, rax
    vunpcklps zmm4, zmm0, zmm1
    vunpckhps zmm5, zmm0, zmm1
    vunpcklps zmm6, zmm2, zmm3
    vunpckhps zmm7, zmm2, zmm3
    vunpcklpd zmm0, zmm4, zmm6
    vunpckhpd zmm1, zmm4, zmm6
    vunpcklpd zmm2, zmm5, zmm7
    vunpckhpd zmm3, zmm5, zmm7
    vmovups [r13], zmm0
    vmovups [r13+rbx], zmm1
    vmovups [r13+rbx*2], zmm2
    vmovups [r13+rbp], zmm3
    lea r13, [r13+rbx*4]
    .irp r,r8,r9,r10,r11
    add \r, 16
    .endr
    .endm

# ---- Softmax: columns of 32 scores in each row of 128 bytes, 16 or all 32 of them -----------------
# void f(long *p): every score of a column becomes 2^(score - largest of the column).
#   p[0]  the first row
#   p[1]  rows
#   p[2]  bytes of a row that are scores: 64 or 128
#   p[3]  32 numbers for the sums of the columns' powers, and 32 for the largest scores
# softmax_bf16 leaves half as many rows, of two rows' powers as bf16, the first in the lower halves,
# and behind them zeros up to a multiple of 16 rows. It reads more:
#   p[4]  rows of 128 bytes, sums of what earlier scores of the columns gave: p[3] tells of these, and
#         all is scaled to what is largest now; 0 where the scores are the first
#   p[5]  how many
# rsi, r8 the 16 columns at work, rdx rows, rcx bytes to do, rax row, r9 rows to do, r10 row to write,
# r11 sums; zmm0 largest, zmm1 and zmm16 sums of powers, zmm20 to zmm28 constants: the powers that
# become bf16 need not be exact to the last bit.

    .macro SOFTMAX_BEGIN
    mov rsi, [rdi]
    mov rdx, [rdi+8]
    mov rcx, [rdi+16]
    mov r8, [rdi+24]
    vbroadcastss zmm26, [rip+softmax_constants]
    vbroadcastss zmm27, [rip+softmax_constants+4]
    .endm

# zmm0 = the largest of each column.
    .macro LARGEST
    mov rax, rsi
    mov r9, rdx
    vmovups zmm0, [rsi]
    vmovaps zmm1, zmm0
    vmovaps zmm2, zmm0
    vmovaps zmm3, zmm0
    sub r9, 4
    jl 3f
2:  vmaxps zmm0, zmm0, [rax]
    vmaxps zmm1, zmm1, [rax+128]
    vmaxps zmm2, zmm2, [rax+256]
    vmaxps zmm3, zmm3, [rax+384]
    add rax, 512
    sub r9, 4
    jge 2b
3:  add r9, 4
    jz 5f
4:  vmaxps zmm0, zmm0, [rax]
    add rax, 128
    dec r9
    jnz 4b
5:  vmaxps zmm0, zmm0, zmm1
    vmaxps zmm2, zmm2, zmm3
    vmaxps zmm0, zmm0, zmm2
    .endm

# x = 2^(x - zmm0), by the whole number nearest to the exponent and a polynomial of the rest. Of two
# numbers of which one is none, vmaxps takes the second.
    .macro POWER x, whole, power
    vsubps \x, \x, zmm0
    vmaxps \x, zmm27, \x
    vrndscaleps \whole, \x, 8
    vsubps \x, \x, \whole
    vmovaps \power, zmm20
    vfmadd213ps \power, \x, zmm21
    vfmadd213ps \power, \x, zmm22
    vfmadd213ps \power, \x, zmm23
    vfmadd213ps \power, \x, zmm24
    vfmadd213ps \power, \x, zmm25
    vfmadd213ps \power, \x, zmm26
    vscalefps \x, \power, \whole
    .endm

# The same with a relative error below 1e-4, by what is left above the whole number below.
    .macro ROUGH_POWER x, rest, power
    vsubps \x, \x, zmm0
    vmaxps \x, zmm27, \x
    vreduceps \rest, \x, 9
    vmovaps \power, zmm23
    vfmadd213ps \power, \rest, zmm24
    vfmadd213ps \power, \rest, zmm25
    vfmadd213ps \power, \rest, zmm26
    vscalefps \x, \power, \x
    .endm

# zmm0 = the larger one of it and what was largest before; what was summed up before is scaled to it,
# by factors that are exactly 1 where nothing has changed.
    .macro EARLIER_SUMS
    vmovups zmm6, [r8+128]
    vmaxps zmm0, zmm0, zmm6
    vsubps zmm6, zmm6, zmm0
    vmaxps zmm6, zmm27, zmm6
    vrndscaleps zmm3, zmm6, 8
    vsubps zmm6, zmm6, zmm3
    vbroadcastss zmm4, [rip+softmax_constants+12]
    .irp at,16,20,24,28,32,0
    vfmadd213ps zmm4, zmm6, dword ptr [rip+softmax_constants+\at] {1to16}
    .endr
    vscalefps zmm6, zmm4, zmm3
    vmulps zmm1, zmm6, [r8]
    mov rax, r11
    mov r9, [rdi+40]
6:  vmulps zmm2, zmm6, [rax]
    vmovups [rax], zmm2
    add rax, 128
    dec r9
    jnz 6b
    add r11, 64
    .endm

# Writes sums and largest scores and goes on with the next 16 columns.
    .macro SOFTMAX_END
    vmovups [r8], zmm1
    vmovups [r8+128], zmm0
    add rsi, 64
    add r8, 64
    sub rcx, 64
    jnz 1b
    vzeroupper
    ret
    .endm

    .text

# void cpuid(int *p): leaf p[0], subleaf p[1]; eax, ebx, ecx, edx to p[0] to p[3]
cpuid:
    push rbx
    mov eax, [rdi]
    mov ecx, [rdi+4]
    cpuid
    mov [rdi], eax
    mov [rdi+4], ebx
    mov [rdi+8], ecx
    mov [rdi+12], edx
    pop rbx
    ret

# void xgetbv(int *p): the lower half of XCR0, what the operating system saves, to p[0]
    .balign 64, 0xcc
xgetbv:
    xor ecx, ecx
    xgetbv
    mov [rdi], eax
    ret

# void tile_permission(int *p): arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) to p[0]
    .balign 64, 0xcc
tile_permission:
    push rdi
    mov eax, 158
    mov edi, 0x1023
    mov esi, 18
    syscall
    pop rdi
    mov [rdi], eax
    ret

    .balign 64, 0xcc
    PRODUCT dot_int8, vpdpbusd
    .balign 64, 0xcc
    PRODUCT dot_bf16, vdpbf16ps
    .balign 64, 0xcc
    PRODUCT dot_fp32, vfmadd231ps
# 1 and the least exponent; bf16's rounding; degrees 6 to 1 of 2^x for x from -1/2 to 1/2
# (VectorMath.exp2); degrees 3 to 0 for x from 0 to 1, relative error 8e-5.
    .balign 64, 0xcc
softmax_constants:
    .float 1, -126
    .long 0x8000
    .float 1.5353362e-4, 1.3398875e-3, 9.618437e-3, 0.055503324, 0.24022648, 0.6931472
    .float 0.07802452, 0.22606717, 0.6958334, 0.9999252
    .balign 64, 0xcc
softmax_fp32:
    SOFTMAX_BEGIN
    vbroadcastss zmm20, [rip+softmax_constants+12]
    vbroadcastss zmm21, [rip+softmax_constants+16]
    vbroadcastss zmm22, [rip+softmax_constants+20]
    vbroadcastss zmm23, [rip+softmax_constants+24]
    vbroadcastss zmm24, [rip+softmax_constants+28]
    vbroadcastss zmm25, [rip+softmax_constants+32]
1:  LARGEST
    vpxord zmm1, zmm1, zmm1
    mov rax, rsi
    mov r9, rdx
6:  vmovups zmm2, [rax]
    POWER zmm2, zmm3, zmm4
    vmovups [rax], zmm2
    vaddps zmm1, zmm1, zmm2
    add rax, 128
    dec r9
    jnz 6b
    SOFTMAX_END

    .balign 64, 0xcc
softmax_bf16:
    SOFTMAX_BEGIN
    mov r11, [rdi+32]
    vpbroadcastd zmm28, [rip+softmax_constants+8]
    vbroadcastss zmm23, [rip+softmax_constants+36]
    vbroadcastss zmm24, [rip+softmax_constants+40]
    vbroadcastss zmm25, [rip+softmax_constants+44]
    vbroadcastss zmm26, [rip+softmax_constants+48]
    mov eax, 0x55555555
    kmovd k1, eax
1:  LARGEST
    vpxord zmm1, zmm1, zmm1
    vpxord zmm16, zmm16, zmm16
    test r11, r11
    jz 7f
    EARLIER_SUMS
7:  mov rax, rsi
    mov r10, rsi
    mov r9, rdx
    sub r9, 2
    jl 8f
6:  vmovups zmm2, [rax]
    vmovups zmm5, [rax+128]
    ROUGH_POWER zmm2, zmm3, zmm4
    ROUGH_POWER zmm5, zmm6, zmm7
    vaddps zmm1, zmm1, zmm2
    vaddps zmm16, zmm16, zmm5
    vpaddd zmm2, zmm2, zmm28
    vpaddd zmm5, zmm5, zmm28
    vpsrld zmm2, zmm2, 16
    vpblendmw zmm2 {k1}, zmm5, zmm2
    vmovups [r10], zmm2
    add rax, 256
    add r10, 128
    sub r9, 2
    jge 6b
8:  vaddps zmm1, zmm1, zmm16
    add r9, 2
    jz 9f
    vmovups zmm2, [rax]
    ROUGH_POWER zmm2, zmm3, zmm4
    vaddps zmm1, zmm1, zmm2
    vpaddd zmm2, zmm2, zmm28
    vpsrld zmm2, zmm2, 16
    vmovups [r10], zmm2
    add r10, 128
9:  vpxord zmm2, zmm2, zmm2
10: mov rax, r10
    sub rax, rsi
    test eax, 2047
    jz 11f
    vmovups [r10], zmm2
    add r10, 128
    jmp 10b
11: SOFTMAX_END

    .balign 64, 0xcc
turn:
    ENTER
    mov r12, [rdi]
    mov rsi, [rdi+8]
    mov rdx, [rdi+16]
    mov r14, [rdi+32]
    mov rbx, [rdi+40]
    lea rax, [rsi+rsi*2]
    lea rbp, [rbx+rbx*2]
1:  mov r8, r12
    lea r9, [r12+rsi*4]
    lea r10, [r12+rsi*8]
    lea r11, [r9+rsi*8]
    mov r13, r14
    mov rcx, [rdi+24]
2:  FOUR_COLUMNS
    sub rcx, 4
    jnz 2b
    mov r13, rsi
    shl r13, 4
    add r12, r13
    add r14, 64
    sub rdx, 16
    jnz 1b
    vzeroupper
    LEAVE

# Words of two vectors in turns.
    .balign 64, 0xcc
pair_lanes:
    .irp lane,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    .word \lane, \lane+16
    .endr

# rsi, r9 rows of the source, rdx rows to do, rcx columns to do, r8 target, rax bytes of columns done.
    .balign 64, 0xcc
pair_rows:
    mov rsi, [rdi]
    mov rdx, [rdi+16]
    mov r8, [rdi+32]
    vmovups zmm2, [rip+pair_lanes]
1:  mov r9, rsi
    add r9, [rdi+8]
    xor eax, eax
    mov rcx, [rdi+24]
2:  vpxord zmm1, zmm1, zmm1
    cmp rdx, 1
    je 3f
    vmovups zmm1, [r9+rax]
3:  vcvtne2ps2bf16 zmm0, zmm1, [rsi+rax]
    vpermw zmm0, zmm2, zmm0
    vmovups [r8+rax], zmm0
    add rax, 64
    sub rcx, 16
    jnz 2b
    mov rsi, r9
    add rsi, [rdi+8]
    add r8, [rdi+40]
    sub rdx, 2
    jg 1b
    vzeroupper
    ret

# 1/2, 1, 4.4 squared, and degrees 8 to 0 of (Phi(x) - 1/2) / x in x squared up to there.
    .balign 64, 0xcc
gelu_constants:
    .float 0.5, 1, 19.36
    .float 3.5725863e-11, -3.7565933e-09, 1.7416953e-07, -4.7263784e-06, 8.4308507e-05, -0.0010550843, 0.0096433256, -0.06607689, 0.39876184

    .macro NORMAL x, square, power
    vmulps \square, \x, \x
    vminps \square, zmm18, \square
    vmovaps \power, zmm19
    .irp c,20,21,22,23,24,25,26,27
    vfmadd213ps \power, \square, zmm\c
    .endr
    vfmadd213ps \power, \x, zmm16
    vmaxps \power, zmm28, \power
    vminps \power, zmm17, \power
    vmulps \x, \x, \power
    .endm

    .balign 64, 0xcc
gelu_rows:
    .irp r,0,2,4,6
    vmovups zmm0, [r10+64*\r]
    vmovups zmm3, [r10+64*\r+64]
    NORMAL zmm0, zmm1, zmm2
    NORMAL zmm3, zmm4, zmm5
    vcvtne2ps2bf16 zmm0, zmm3, zmm0
    vmovups [r9], zmm0
    add r9, [rdi+48]
    .endr
    add r10, 512
    ret

# All lanes of a vector of int32 as one number.
    .macro ACROSS op, z, y, x, y2, x2
    vextracti64x4 \y2, \z, 1
    \op \y, \y, \y2
    vextracti128 \x2, \y, 1
    \op \x, \x, \x2
    vpshufd \x2, \x, 0x4e
    \op \x, \x, \x2
    vpshufd \x2, \x, 0xb1
    \op \x, \x, \x2
    .endm

    .macro SCALED_ROWS gelu
    mov r12, [rsp+128]
    add r12, [rdi+88]
    vmovups zmm8, [r12]
    vmovups zmm9, [r12+64]
    mov r12, [rsp+128]
    add r12, [rdi+96]
    vmovups zmm10, [r12]
    vmovups zmm11, [r12+64]
    mov r12, [rsp+120]
    .irp r,0,1,2,3
    vmovups zmm0, [r10+128*\r]
    vmovups zmm3, [r10+128*\r+64]
    vpsubd zmm0, zmm0, dword ptr [r12+8*\r+4]{1to16}
    vpsubd zmm3, zmm3, dword ptr [r12+8*\r+4]{1to16}
    vcvtdq2ps zmm0, zmm0
    vcvtdq2ps zmm3, zmm3
    vmulps zmm0, zmm0, dword ptr [r12+8*\r]{1to16}
    vmulps zmm3, zmm3, dword ptr [r12+8*\r]{1to16}
    vfmadd213ps zmm0, zmm8, zmm10
    vfmadd213ps zmm3, zmm9, zmm11
    .if \gelu
    NORMAL zmm0, zmm1, zmm2
    NORMAL zmm3, zmm4, zmm5
    .endif
    vmovups [r9], zmm0
    vmovups [r9+64], zmm3
    add r9, [rdi+48]
    .endr
    add r10, 512
    add qword ptr [rsp+120], 32
    ret
    .endm

    .balign 64, 0xcc
scaled_rows:
    SCALED_ROWS 0

    .balign 64, 0xcc
scaled_gelu_rows:
    SCALED_ROWS 1

# rcx vectors to do, r11 whole ones, k1 the rest; xmm6 127, zmm7 all bits but the sign, zmm4 127 /
# largest magnitude, zmm5 sums.
    .balign 64, 0xcc
round_int8:
    mov rcx, [rdi+24]
    mov r11, rcx
    shr r11, 4
    and ecx, 15
    mov eax, 1
    shl eax, cl
    dec eax
    kmovw k1, eax
    mov rsi, [rdi]
    mov rdx, [rdi+16]
    mov r8, [rdi+32]
    mov r10, [rdi+48]
    mov eax, 0x42fe0000
    vmovd xmm6, eax
    mov eax, 0x7fffffff
    vpbroadcastd zmm7, eax
1:  mov rax, rsi
    mov rcx, r11
    vpxord zmm0, zmm0, zmm0
    vmovaps zmm5, zmm0
    jmp 3f
2:  vpandd zmm1, zmm7, [rax]
    vpmaxsd zmm0, zmm0, zmm1
    add rax, 64
3:  dec rcx
    jge 2b
    vpandd zmm1{k1}{z}, zmm7, [rax]
    vpmaxsd zmm0, zmm0, zmm1
    ACROSS vpmaxsd, zmm0, ymm0, xmm0, ymm1, xmm1
    vdivss xmm2, xmm0, xmm6
    vmovss [r10], xmm2
    vpxord xmm3, xmm3, xmm3
    vcmpss k2, xmm0, xmm3, 4
    vdivss xmm4{k2}{z}, xmm6, xmm0
    vbroadcastss zmm4, xmm4
    mov rax, rsi
    mov r9, r8
    mov rcx, r11
    jmp 5f
4:  vmulps zmm0, zmm4, [rax]
    vcvtps2dq zmm0, zmm0
    vpaddd zmm5, zmm5, zmm0
    vpmovdb [r9], zmm0
    add rax, 64
    add r9, 16
5:  dec rcx
    jge 4b
    add r8, [rdi+40]
    vmulps zmm0{k1}{z}, zmm4, [rax]
    vcvtps2dq zmm0, zmm0
    vpaddd zmm5, zmm5, zmm0
    vpmovdb xmm0, zmm0
6:  cmp r9, r8
    jae 7f
    vmovups [r9], xmm0
    vpxord xmm0, xmm0, xmm0
    add r9, 16
    jmp 6b
7:  ACROSS vpaddd, zmm5, ymm5, xmm5, ymm1, xmm1
    vmovd eax, xmm5
    shl eax, 7
    mov [r10+4], eax
    add rsi, [rdi+8]
    add r10, 8
    dec rdx
    jnz 1b
    vzeroupper
    ret

    .balign 64, 0xcc
round_bf16:
    mov rsi, [rdi]
    mov rdx, [rdi+16]
    mov r8, [rdi+32]
    mov rax, [rdi+48]
    vbroadcastss zmm2, [rax]
1:  mov rax, rsi
    mov r9, r8
    mov rcx, [rdi+24]
2:  vmulps zmm0, zmm2, [rax]
    vmulps zmm1, zmm2, [rax+64]
    vcvtne2ps2bf16 zmm0, zmm1, zmm0
    vmovups [r9], zmm0
    add rax, 128
    add r9, 64
    sub rcx, 32
    jnz 2b
    add rsi, [rdi+8]
    add r8, [rdi+40]
    dec rdx
    jnz 1b
    vzeroupper
    ret

    .balign 64, 0xcc
scale:
    mov rsi, [rdi]
    mov rdx, [rdi+16]
    mov r8, [rdi+32]
    mov r10, [rdi+48]
1:  mov rax, rsi
    mov r9, r8
    mov rcx, [rdi+24]
    vbroadcastss zmm1, [r10]
2:  vmulps zmm0, zmm1, [rax]
    vmovups [r9], zmm0
    add rax, 64
    add r9, 64
    sub rcx, 16
    jnz 2b
    add rsi, [rdi+8]
    add r8, [rdi+40]
    add r10, 4
    dec rdx
    jnz 1b
    vzeroupper
    ret

# rax column, rsi source, rdx rows to do, rcx bytes of a row, r8 target, r9 rows to add, r10 factors,
# r11 what is added; zmm0, zmm1 sums, zmm4 mean, zmm5 1 / deviation, xmm6 columns.

    .macro ROW_SUM
    vaddps zmm0, zmm0, zmm1
    vextractf64x4 ymm1, zmm0, 1
    vaddps ymm0, ymm0, ymm1
    vextractf128 xmm1, ymm0, 1
    vaddps xmm0, xmm0, xmm1
    vmovhlps xmm1, xmm0, xmm0
    vaddps xmm0, xmm0, xmm1
    vmovshdup xmm1, xmm0
    vaddss xmm0, xmm0, xmm1
    .endm

    .balign 64, 0xcc
norm:
    mov rsi, [rdi]
    mov rdx, [rdi+16]
    mov rcx, [rdi+24]
    mov r8, [rdi+32]
    mov r10, [rdi+48]
    mov r11, [rdi+64]
    mov r9, [rdi+72]
    vcvtsi2ss xmm6, xmm6, rcx
    shl rcx, 2
1:  xor eax, eax
    vpxord zmm0, zmm0, zmm0
    vpxord zmm1, zmm1, zmm1
    vpxord zmm4, zmm4, zmm4
2:  vmovups zmm2, [rsi+rax]
    vmovups zmm3, [rsi+rax+64]
    test r9, r9
    jz 3f
    vaddps zmm2, zmm2, [r9+rax]
    vaddps zmm3, zmm3, [r9+rax+64]
3:  vmovups [r8+rax], zmm2
    vmovups [r8+rax+64], zmm3
    vaddps zmm0, zmm0, zmm2
    vaddps zmm1, zmm1, zmm3
    add rax, 128
    cmp rax, rcx
    jb 2b
    cmp qword ptr [rdi+88], 0
    je 4f
    ROW_SUM
    vdivss xmm0, xmm0, xmm6
    vbroadcastss zmm4, xmm0
4:  xor eax, eax
    vpxord zmm0, zmm0, zmm0
    vpxord zmm1, zmm1, zmm1
5:  vmovups zmm2, [r8+rax]
    vmovups zmm3, [r8+rax+64]
    vsubps zmm2, zmm2, zmm4
    vsubps zmm3, zmm3, zmm4
    vfmadd231ps zmm0, zmm2, zmm2
    vfmadd231ps zmm1, zmm3, zmm3
    add rax, 128
    cmp rax, rcx
    jb 5b
    ROW_SUM
    vdivss xmm0, xmm0, xmm6
    vaddss xmm0, xmm0, [rdi+56]
    vsqrtss xmm0, xmm0, xmm0
    vmovss xmm5, [rip+softmax_constants]
    vdivss xmm5, xmm5, xmm0
    vbroadcastss zmm5, xmm5
    xor eax, eax
6:  vmovups zmm2, [r8+rax]
    vmovups zmm3, [r8+rax+64]
    vsubps zmm2, zmm2, zmm4
    vsubps zmm3, zmm3, zmm4
    vmulps zmm2, zmm2, zmm5
    vmulps zmm3, zmm3, zmm5
    vmovups zmm0, [r11+rax]
    vmovups zmm1, [r11+rax+64]
    vfmadd231ps zmm0, zmm2, [r10+rax]
    vfmadd231ps zmm1, zmm3, [r10+rax+64]
    vmovups [r8+rax], zmm0
    vmovups [r8+rax+64], zmm1
    add rax, 128
    cmp rax, rcx
    jb 6b
    add rsi, [rdi+8]
    add r8, [rdi+40]
    test r9, r9
    jz 7f
    add r9, [rdi+80]
7:  dec rdx
    jnz 1b
    vzeroupper
    ret

    .balign 64, 0xcc
    TILE_PRODUCT tile_bf16, tdpbf16ps
    .balign 64, 0xcc
    TILE_PRODUCT tile_gelu, tdpbf16ps, 1

    .balign 64, 0xcc
    TILE_PRODUCT tile_scaled, tdpbsud, 2

    .balign 64, 0xcc
    TILE_PRODUCT tile_scaled_gelu, tdpbsud, 3

# void tile_calls(long *p): p[0] calls, made one after the other while tiles are set up; for each the
# address of tile_block or of a function that leaves tiles alone, and what it is told.
    .balign 64, 0xcc
tile_calls:
    push rbx
    push r12
    ldtilecfg [rip+tile_shapes]
    mov r12, [rdi]
    lea rbx, [rdi+8]
1:  mov rdi, [rbx+8]
    call [rbx]
    add rbx, 16
    dec r12
    jnz 1b
    tilerelease
    pop r12
    pop rbx
    ret

# tile_bf16 of rows that are a multiple of 32, where tiles are set up.
    .balign 64, 0xcc
tile_block:
    ENTER
    sub rsp, 128
    TILE_BEGIN
1:  TILE_ROWS 32, tdpbf16ps, 0, tileloadd
    TILE_NEXT
    jg 1b
    add rsp, 128
    LEAVE

# Palette 1; eight tiles of 16 rows of 64 bytes.
    .balign 64, 0xcc
tile_shapes:
    .byte 1
    .zero 15
    .rept 8
    .word 64
    .endr
    .zero 16
    .rept 8
    .byte 16
    .endr
    .zero 8
