// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux's devices of Xen: files that take commands.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::io;
use rustix::ioctl::{self, Direction, Ioctl, IoctlOutput, Opcode, opcode};

/// Opens a device for reading and writing.
pub(crate) fn open(path: &str) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(Path::new(path));
    file.with_context(|| format!("cannot open {path}"))
}

/// Issues command `number` of `group`, which takes a `T`, and gives what it returns.
///
/// # Safety
///
/// The device takes this command with a `T`, which holds no pointers.
pub(crate) unsafe fn command<T>(device: &File, group: u8, number: u8, argument: &mut T) -> Result<i32> {
    let command =
        Command { opcode: opcode::from_components(Direction::None, group, number, size_of::<T>()), argument };
    // SAFETY: the caller says that the device takes a T.
    let answer = unsafe { ioctl::ioctl(device, command) };
    answer.with_context(|| format!("command {number} of device {:?} was refused", char::from(group)))
}

struct Command<'a, T> {
    opcode: Opcode,
    argument: &'a mut T,
}

// SAFETY: the argument is borrowed for as long as the call takes; all commands may change it.
unsafe impl<T> Ioctl for Command<'_, T> {
    type Output = i32;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self.argument).cast()
    }

    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> io::Result<i32> {
        Ok(output)
    }
}
