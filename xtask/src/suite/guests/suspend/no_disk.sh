# SPDX-License-Identifier: MIT OR Apache-2.0
# What a guest asks of a disk fails that it had before and has not any more; another one is as good.
xl save $GUEST $image || fail 'not saved'
restore_poorly disk || fail 'not restored without a disk'
said 'the disk was taken away' || fail 'the disk was not missed'
rm $image
xl block-attach $GUEST format=raw,vdev=xvda,access=r,target=/dev/vda
