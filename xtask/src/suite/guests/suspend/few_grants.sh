# SPDX-License-Identifier: MIT OR Apache-2.0
# A guest whose grant table is smaller than before is slower.
xl save $GUEST $image || fail 'not saved'
restore_poorly max_grant_frames 'max_grant_frames = 1' && rm $image || fail 'not restored'
