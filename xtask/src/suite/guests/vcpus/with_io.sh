# SPDX-License-Identifier: MIT OR Apache-2.0
# Each vCPU but the first one has a task for the disk, which moves away.
says "vCPU 3: offline" vcpus 1 &&
    offline 3 &&
    says "vCPU 3: online" vcpus 4 &&
    says "vCPU 1: offline" availability 1 offline
