//! Serial lines: a terminal device, raw, at a speed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{ControlModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};

/// Bits per second unless another speed is said.
pub const DEFAULT_BAUD: u32 = 115_200;

/// A serial line that is open. To tokio its two directions are pipes.
pub struct Serial {
    from: Receiver,
    to: Sender,
}

impl Serial {
    /// Opens a device: eight bits, no parity, raw.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(device: &Path, baud: u32) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let line = open(device, flags, Mode::empty())?;
        let mut settings = tcgetattr(&line)?;
        settings.make_raw();
        settings.set_speed(baud)?;
        // Nobody rings, and nobody hangs up when we close.
        settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        settings.control_modes &= !ControlModes::HUPCL;
        tcsetattr(&line, OptionalActions::Flush, &settings)?;
        let line = File::from(line);
        let from = Receiver::from_file_unchecked(line.try_clone()?)?;
        let to = Sender::from_file_unchecked(line)?;
        Ok(Self { from, to })
    }
}

impl AsyncRead for Serial {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.from).poll_read(cx, to)
    }
}

impl AsyncWrite for Serial {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.to).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
