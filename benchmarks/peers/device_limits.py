"""Measures what a GPU can do at most, with PyTorch: a large bf16 product on random numbers, and a large copy.

    python device_limits.py

Prints a line each: matrix_tflops, copy_gbs (bytes read and written). Medians of ten, by the device's own events.
"""

import torch


def median_seconds(body):
    times = []
    for _ in range(13):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        body()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return sorted(times[3:])[5]


size = 8192
left = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
right = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
print("matrix_tflops %.1f" % (2 * size**3 / median_seconds(lambda: left @ right) / 1e12))
source = torch.randn(1 << 30, device="cuda", dtype=torch.float32)
target = torch.empty_like(source)
print("copy_gbs %.1f" % (2 * source.numel() * 4 / median_seconds(lambda: target.copy_(source)) / 1e9))
