# SPDX-License-Identifier: MIT OR Apache-2.0
# What saves and restores frontends.

# Saves the one that is meant, of which then nothing may be served, and restores it.
save_and_restore() {
    xl save $name /tmp/$name.save || { echo "$name is not saved"; return 1; }
    nothing_is_served && xl restore /tmp/$name.save && rm /tmp/$name.save || { echo "$name is not restored"; return 1; }
}

checkpoint() {
    xl save -c $name /tmp/$name.save && rm /tmp/$name.save || { echo "$name is not checkpointed"; return 1; }
}

# The driver domain itself cannot be saved while it serves; it is told so, and goes on.
cannot_be_saved() {
    ! xl save $GUEST /tmp/driver.save || { echo "the driver domain is saved"; return 1; }
    grep 'suspend: not possible while other domains are served' /var/log/xen/guest-$GUEST.log
}
