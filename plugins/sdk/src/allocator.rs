//! Memory that is handed out and never taken back, but for the newest piece: every call meets a fresh instance, so freeing is
//! work for nothing. A Vec that grows and nobody else in between grows in its place.

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    cell::UnsafeCell,
    ptr,
};

const PAGE: usize = 65_536;
/// Pages that are asked for at once, at least: each growth is a call into the host, which changes the protection of the memory and changes it back after
/// the call.
const PAGES_AT_ONCE: usize = 16;
/// What most calls make do with. It is part of the memory that an instance begins with, so that they need not grow it; a page that nobody writes costs nothing.
const FIRST: usize = 256 << 10;

/// Aligned as the largest of what is asked for commonly.
#[repr(C, align(16))]
struct First(UnsafeCell<[u8; FIRST]>);

struct Bump {
    /// The first free byte, and the first byte that is not ours. 0 before the first piece.
    room: UnsafeCell<(usize, usize)>,
}

// SAFETY: a plugin has one thread.
unsafe impl Sync for First {}
// SAFETY: a plugin has one thread.
unsafe impl Sync for Bump {}

static FIRST_ROOM: First = First(UnsafeCell::new([0; FIRST]));

#[global_allocator]
static BUMP: Bump = Bump { room: UnsafeCell::new((0, 0)) };

impl Bump {
    /// Takes `size` bytes from `start`, if they fit into what there is.
    fn reach(room: &mut (usize, usize), start: usize, size: usize) -> Option<()> {
        let end = start.checked_add(size).filter(|end| *end <= room.1)?;
        room.0 = end;
        Some(())
    }

    /// More room: what is left of the old is lost where somebody else's memory lies between.
    fn grow(room: &mut (usize, usize), size: usize) -> Option<()> {
        let pages = size.div_ceil(PAGE).checked_add(1)?.max(PAGES_AT_ONCE);
        let before = wasm32::memory_grow(0, pages);
        if before == usize::MAX {
            return None;
        }
        if room.1 != before * PAGE {
            room.0 = before * PAGE;
        }
        room.1 = (before + pages).checked_mul(PAGE).unwrap_or(usize::MAX);
        Some(())
    }
}

// SAFETY: every piece lies in memory that is this allocator's alone, and overlaps no other living piece.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and no reference lives longer than this function.
        let room = unsafe { &mut *self.room.get() };
        if room.1 == 0 {
            let first = FIRST_ROOM.0.get() as usize;
            *room = (first, first + FIRST);
        }
        let fit = |room: &mut (usize, usize)| {
            let start = room.0.checked_next_multiple_of(layout.align())?;
            Self::reach(room, start, layout.size()).map(|()| start as *mut u8)
        };
        let more = |room: &mut (usize, usize)| {
            Self::grow(room, layout.size().checked_add(layout.align())?)?;
            fit(room)
        };
        fit(room).or_else(|| more(room)).unwrap_or(ptr::null_mut())
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: as above.
        let room = unsafe { &mut *self.room.get() };
        if piece as usize + layout.size() == room.0 {
            room.0 = piece as usize;
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        {
            // SAFETY: as above.
            let room = unsafe { &mut *self.room.get() };
            let end = piece as usize + layout.size();
            let more = |room: &mut (usize, usize)| {
                Self::grow(room, size - layout.size())?;
                // Elsewhere, the piece cannot stay where it is.
                (room.0 == end).then(|| Self::reach(room, piece as usize, size))?
            };
            if end == room.0 && Self::reach(room, piece as usize, size).or_else(|| more(room)).is_some() {
                return piece;
            }
        }
        if size <= layout.size() {
            return piece;
        }
        // SAFETY: the caller says that `size` makes a layout; the old piece is as large as it says, and the new one is another.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(piece, new, layout.size());
            }
            new
        }
    }
}
