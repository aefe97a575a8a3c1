# SPDX-License-Identifier: MIT OR Apache-2.0
# Up, down with a task on vCPU 1 that takes four seconds to end, and up again; what no vCPU is to be harmed by;
# and a restore, by which Xen forgets the vCPUs that are off; in `pvhvm` `xl` has those go on again by itself that QEMU
# once had.
restored_with() {
    says "resume: the domain was restored" save_and_restore && vcpus $1
}
trap 'rm -f $image' EXIT
says "4 vCPUs work" vcpus 4 &&
    offline 0 &&
    says "vCPU 1 takes no new tasks, and stays online until those that are bound to it have ended" vcpus 1 &&
    says "vCPU 1: offline" true &&
    offline 3 &&
    says "3 vCPUs work" vcpus 3 &&
    says "vCPU 0 stays online" availability 0 offline &&
    says "cpu/1/availability: neither online nor offline" availability 1 frobnicate &&
    says "2 vCPUs work" availability 1 offline &&
    offline 2 &&
    says "4 vCPUs work" restored_with 4 &&
    ! vcpus 0 &&
    says "1 vCPUs work" vcpus 1 &&
    says "resume: the same domain goes on" xl save -c $GUEST $image &&
    says "3 vCPUs work" vcpus 3 &&
    xl shutdown $GUEST
