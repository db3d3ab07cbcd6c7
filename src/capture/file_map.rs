//! A regular local file → its bytes in memory, without copying.
//!
//! One of the modules with `unsafe`: mapping a file, and the signal that tells when a mapped file was cut.
//! Its safe twin is reading the file into a buffer, which [`super::CaptureFiles`] does for everything that is not a
//! regular local file; a test holds both to the same frames.
#![allow(
    unsafe_code,
    reason = "mapping files needs it; every block says why it is sound"
)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

/// The exit code for a file that was cut or became unreadable while it was mapped.
pub const EXIT_INPUT_CHANGED: i32 = 5;

/// A read-only map of a whole file.
#[derive(Debug)]
pub struct FileMap {
    map: memmap2::Mmap,
    slot: Option<usize>,
}

impl FileMap {
    /// Maps `file`. `None` where it is not a regular file on a local file system: such are read instead.
    pub fn open(file: &File, path: &Path) -> std::io::Result<Option<Self>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() == 0 || is_remote(file) {
            return Ok(None);
        }
        install_handler();
        // SAFETY: the map is read-only and private to this process. Another process may change the file while it is
        // mapped: bytes may then differ between two reads, which parsers tolerate because they check every bound
        // against the slice and never against the content twice; a file cut short raises SIGBUS, which the handler
        // turns into a message and an exit code.
        let map = unsafe { memmap2::Mmap::map(file)? };
        let slot = watch(&map, path);
        Ok(Some(Self { map, slot }))
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.and_then(|slot| WATCHED.get(slot)) {
            slot.len.store(0, Ordering::SeqCst);
            slot.start.store(0, Ordering::SeqCst);
        }
    }
}

/// Whether the file lies where another machine can cut it at any time: network and user-space file systems.
fn is_remote(file: &File) -> bool {
    const REMOTE: [i64; 8] = [
        0x6969,      // NFS
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x517b,      // SMB
        0x6573_5546, // FUSE
        0x0102_1997, // 9P
        0x00c3_6400, // Ceph
        0x5346_414f, // AFS
    ];
    let mut buffer = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open for the life of `file`, and the buffer is large enough for the call to fill.
    let result = unsafe { libc::fstatfs(file.as_raw_fd(), buffer.as_mut_ptr()) };
    if result != 0 {
        return false;
    }
    // SAFETY: the call succeeded and has therefore filled the buffer.
    let kind = unsafe { buffer.assume_init() }.f_type;
    #[allow(
        clippy::unnecessary_cast,
        reason = "the type of f_type differs between C libraries"
    )]
    REMOTE.contains(&(kind as i64))
}

/// Address range and name of one map, readable from a signal handler.
struct Watched {
    start: AtomicUsize,
    len: AtomicUsize,
    name: AtomicPtr<u8>,
    name_len: AtomicUsize,
}

/// Maps that are open at once; one more is mapped all the same, and a cut then ends without the name.
const WATCHED_MAX: usize = 512;

static WATCHED: [Watched; WATCHED_MAX] = [const {
    Watched {
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        name: AtomicPtr::new(std::ptr::null_mut()),
        name_len: AtomicUsize::new(0),
    }
}; WATCHED_MAX];

/// Serialises the search for a free slot; the handler never takes it.
static SLOTS: Mutex<()> = Mutex::new(());

fn watch(map: &memmap2::Mmap, path: &Path) -> Option<usize> {
    let _guard = SLOTS.lock().ok()?;
    let (index, slot) = WATCHED
        .iter()
        .enumerate()
        .find(|(_, slot)| slot.start.load(Ordering::SeqCst) == 0)?;
    let name: &'static mut [u8] =
        Box::leak(path.as_os_str().as_bytes().to_vec().into_boxed_slice());
    slot.name_len.store(0, Ordering::SeqCst);
    // The handler may still read the name of a map that was closed before: names are leaked, not freed.
    slot.name.store(name.as_mut_ptr(), Ordering::SeqCst);
    slot.name_len.store(name.len(), Ordering::SeqCst);
    slot.len.store(map.len(), Ordering::SeqCst);
    slot.start.store(map.as_ptr() as usize, Ordering::SeqCst);
    Some(index)
}

fn install_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: a zeroed sigaction is a valid value of this plain C struct.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
            on_bus_error;
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: `action` is fully initialised and the handler calls only functions that are safe in a handler.
        unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) };
    });
}

extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid siginfo to a handler installed with SA_SIGINFO, and for SIGBUS it holds an address.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &WATCHED {
        let start = slot.start.load(Ordering::SeqCst);
        if start == 0 || address < start || address - start >= slot.len.load(Ordering::SeqCst) {
            continue;
        }
        let (name, len) = (
            slot.name.load(Ordering::SeqCst),
            slot.name_len.load(Ordering::SeqCst),
        );
        for (text, len) in [
            (c"avscope: ".as_ptr().cast::<u8>(), 9),
            (name.cast_const(), len),
            (c": was cut or became unreadable while it was read; copy it first, or read it through a pipe\n".as_ptr().cast(), 91),
        ] {
            // SAFETY: write(2) may be called in a handler; the texts are static or leaked and as long as stated.
            unsafe { libc::write(libc::STDERR_FILENO, text.cast(), len) };
        }
        // SAFETY: _exit(2) may be called in a handler; running no destructors is what is wanted here.
        unsafe { libc::_exit(EXIT_INPUT_CHANGED) };
    }
    // Not one of our maps: die of it as without the handler.
    // SAFETY: signal(2) may be called in a handler; returning repeats the access, which then ends the process.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
