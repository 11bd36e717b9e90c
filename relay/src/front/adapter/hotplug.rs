//! Which serial devices are there, as the kernel tells.

use std::fs;
use std::path::{Path, PathBuf};

use peerage::limits::HOTPLUG_INTERVAL;

use crate::config::SerialDevice;

/// How far above a terminal its USB device may be.
const LEVELS_MAX: usize = 8;

/// Waits until there is a device as described; tells where.
pub(super) async fn appeared(wanted: &SerialDevice, sysfs: &Path) -> PathBuf {
    loop {
        if let Some(device) = find(wanted, sysfs) {
            return device;
        }
        tokio::time::sleep(HOTPLUG_INTERVAL).await;
    }
}

/// Waits until a device is there no more.
pub(super) async fn gone(device: &Path, wanted: &SerialDevice, sysfs: &Path) {
    while find(wanted, sysfs).as_deref() == Some(device) {
        tokio::time::sleep(HOTPLUG_INTERVAL).await;
    }
}

/// The device that is described, if it is there; of several the first by name.
pub(super) fn find(wanted: &SerialDevice, sysfs: &Path) -> Option<PathBuf> {
    match wanted {
        SerialDevice::Path(wanted) => wanted.device.exists().then(|| wanted.device.clone()),
        SerialDevice::Usb(wanted) => {
            let entries = fs::read_dir(sysfs).ok()?.flatten();
            let is_meant = |entry: &fs::DirEntry| {
                usb_ids(&entry.path()) == Some((wanted.vendor.0, wanted.product.0))
            };
            let mut names: Vec<_> = entries
                .filter(is_meant)
                .map(|entry| entry.file_name())
                .collect();
            names.sort();
            names.first().map(|name| Path::new("/dev").join(name))
        }
    }
}

/// Vendor and product of the USB device that a terminal belongs to.
fn usb_ids(terminal: &Path) -> Option<(u16, u16)> {
    let device = fs::canonicalize(terminal.join("device")).ok()?;
    let id = |folder: &Path, name: &str| {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        u16::from_str_radix(text.trim(), 16).ok()
    };
    let above = device.ancestors().take(LEVELS_MAX);
    let mut ids =
        above.filter_map(|folder| Some((id(folder, "idVendor")?, id(folder, "idProduct")?)));
    ids.next()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_serial_device_is_found_by_its_vendor_and_product() {
        let root = tempfile::tempdir().unwrap();
        let (class, usb) = (
            root.path().join("class/tty"),
            root.path().join("devices/usb1/1-2"),
        );
        let interface = usb.join("1-2:1.0/ttyUSB0");
        fs::create_dir_all(&interface).unwrap();
        fs::create_dir_all(class.join("ttyUSB0")).unwrap();
        fs::create_dir_all(class.join("tty1")).unwrap();
        symlink(&interface, class.join("ttyUSB0/device")).unwrap();
        let wanted = |text: &str| serde_json::from_str::<SerialDevice>(text).unwrap();
        let by_ids = wanted(r#"{"vendor":"2341","product":"0043"}"#);
        assert_eq!(find(&by_ids, &class), None);
        fs::write(usb.join("idVendor"), "2341\n").unwrap();
        fs::write(usb.join("idProduct"), "0043\n").unwrap();
        assert_eq!(find(&by_ids, &class), Some("/dev/ttyUSB0".into()));
        let other = wanted(r#"{"vendor":"2341","product":"0044"}"#);
        assert_eq!(find(&other, &class), None);
        fs::remove_dir_all(class.join("ttyUSB0")).unwrap();
        assert_eq!(find(&by_ids, &class), None);
    }
}
