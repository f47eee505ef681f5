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
#   p[7]  rows: a multiple of 4 (dot_*), of 16 (tile_*)
#   p[8]  panels
# and for dot_* alone, as tile_* starts with zeros
#   p[9]  start: int32, or fp32, which may be the output; or 0 for zeros
#   p[10] bytes from one row of the start to the next; 0 for the same row always
#   p[11] bytes from one step of the left side to the next; 4 where rows lie as p[1] says
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


# ---- AMX: 32 or 16 rows x 32 columns of sums in tmm0 to tmm3 ------------------------------------
# Registers as above; rax 128, the bytes from one row of a panel's tile to the next; r13, r14: rows
# 0 and 16.

    .macro TILE_BLOCK rows, op
    tilezero tmm0
    tilezero tmm1
    .if \rows > 16
    tilezero tmm2
    tilezero tmm3
    .endif
    mov r13, r8
    mov r14, rsi
    shl r14, 4
    add r14, r8
    mov r15, rdx
    mov rbp, rcx
.Ltiledepth\@:
    tileloadd tmm6, [r15+rax]
    tileloadd tmm4, [r13+rsi]
    \op tmm0, tmm4, tmm6
    .if \rows > 16
    tileloadd tmm5, [r14+rsi]
    \op tmm2, tmm5, tmm6
    .endif
    tileloadd tmm7, [r15+rax+64]
    \op tmm1, tmm4, tmm7
    .if \rows > 16
    \op tmm3, tmm5, tmm7
    .endif
    add r13, 64
    add r14, 64
    add r15, 2048
    sub rbp, 16
    jnz .Ltiledepth\@
    tilestored [r9+r10], tmm0
    tilestored [r9+r10+64], tmm1
    mov r13, r10
    shl r13, 4
    add r9, r13
    mov r14, rsi
    shl r14, 4
    add r8, r14
    .if \rows > 16
    tilestored [r9+r10], tmm2
    tilestored [r9+r10+64], tmm3
    add r9, r13
    add r8, r14
    .endif
    .endm

    .macro TILE_PRODUCT name, op
\name:
    ENTER
    push qword ptr [rdi+40]
    ldtilecfg [rip+tile_shapes]
    ARGUMENTS
    mov eax, 128
.Ltilepanel\@:
    mov r8, [rdi]
    mov r9, [rsp]
    mov r11, [rdi+56]
.Ltilerows\@:
    cmp r11, 32
    jb .Lsixteen\@
    TILE_BLOCK 32, \op
    sub r11, 32
    jmp .Ltilerows\@
.Lsixteen\@:
    test r11, r11
    jz .Ltilenext\@
    TILE_BLOCK 16, \op
.Ltilenext\@:
    add rdx, [rdi+24]
    add qword ptr [rsp], 128
    dec rbx
    jnz .Ltilepanel\@
    tilerelease
    pop rax
    LEAVE
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
    .balign 64, 0xcc
    TILE_PRODUCT tile_int8, tdpbsud
    .balign 64, 0xcc
    TILE_PRODUCT tile_bf16, tdpbf16ps

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
