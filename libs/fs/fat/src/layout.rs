// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boot sector (Microsoft's FAT specification, section 3).

/// Bytes at the beginning of the volume that are looked at.
pub const BOOT_SECTOR: usize = 64;

/// Where clusters lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Where the first one lies, which has the number 2, in bytes from the volume's start.
    pub data: u64,
}

impl Layout {
    /// The layout that a boot sector tells; `None` if it makes no sense.
    pub fn parse(boot: &[u8; BOOT_SECTOR]) -> Option<Self> {
        let number = |offset: usize, length: usize| {
            let bytes = boot.get(offset..offset + length)?;
            Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        };
        let (sector, sectors) = (number(11, 2)?, number(13, 1)?);
        if !(512..=4096).contains(&sector) || !sector.is_power_of_two() || !sectors.is_power_of_two() {
            return None;
        }
        let (reserved, fats, root) = (number(14, 2)?, number(16, 1)?, number(17, 2)?);
        let fat = match number(22, 2)? {
            0 => number(36, 4)?,
            fat => fat,
        };
        let root = (root * 32).div_ceil(sector);
        Some(Self { cluster: sector * sectors, data: (reserved + fats * fat + root) * sector })
    }

    /// Where a cluster lies, in bytes from the volume's start; `None` if there is none of that number.
    pub fn offset(&self, cluster: u32) -> Option<u64> {
        Some(u64::from(cluster.checked_sub(2)?) * self.cluster + self.data)
    }

    /// Clusters that a file of so many bytes has; `None` if no file system has as many.
    pub fn clusters(&self, bytes: u64) -> Option<u32> {
        bytes.div_ceil(self.cluster.max(1)).try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(numbers: &[(usize, &[u8])]) -> [u8; BOOT_SECTOR] {
        let mut boot = [0; BOOT_SECTOR];
        for (offset, bytes) in numbers {
            boot[*offset..][..bytes.len()].copy_from_slice(bytes);
        }
        boot
    }

    #[test]
    fn fat16_has_a_root_directory_before_its_clusters() {
        let boot =
            boot(&[(11, &[0, 2]), (13, &[4]), (14, &[4, 0]), (16, &[2]), (17, &[0, 2]), (22, &[200, 0])]);
        let layout = Layout::parse(&boot).unwrap();
        assert_eq!(layout, Layout { cluster: 2048, data: (4 + 2 * 200 + 32) * 512 });
        assert_eq!(layout.offset(3), Some(layout.data + 2048));
        assert_eq!((layout.offset(0), layout.offset(1)), (None, None));
    }

    #[test]
    fn fat32_has_longer_tables() {
        let boot = boot(&[(11, &[0, 2]), (13, &[8]), (14, &[32, 0]), (16, &[2]), (36, &[0, 4, 0, 0])]);
        assert_eq!(Layout::parse(&boot), Some(Layout { cluster: 4096, data: (32 + 2 * 1024) * 512 }));
    }

    #[test]
    fn invalid_sizes_are_refused() {
        for (sector, sectors) in [([0, 0], 8), ([0, 2], 0), ([0, 2], 3), ([1, 2], 8), ([0, 32], 1)] {
            assert_eq!(Layout::parse(&boot(&[(11, &sector), (13, &[sectors])])), None);
        }
        assert_eq!(Layout { cluster: 512, data: 0 }.clusters(u64::MAX), None);
    }
}
