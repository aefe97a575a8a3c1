# SPDX-License-Identifier: MIT OR Apache-2.0
# As many files from a busy host as served.sh asks for of a quiet one, which takes minutes.
meet_dom0_only
burn
check '20 files of 8 MiB arrive whole' arrives 20 "$eight" curl -gsS -m 100 "$url/eight.bin"
check 'another domain took the processor of the guest' is_spinning
end
