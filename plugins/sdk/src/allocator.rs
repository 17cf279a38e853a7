//! Memory that is handed out and never taken back, but for the newest piece: every call meets a fresh instance, so freeing is
//! work for nothing. A Vec that grows and nobody else in between grows in its place.

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::wasm32,
    cell::UnsafeCell,
    ptr,
};

const PAGE: usize = 65_536;
/// Pages that are asked for at once, at least: each growth is a call into the host.
const PAGES_AT_ONCE: usize = 4;

struct Bump {
    /// The first free byte, and the first byte that is not ours. 0 before the first piece.
    room: UnsafeCell<(usize, usize)>,
}

// SAFETY: a plugin has one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static BUMP: Bump = Bump { room: UnsafeCell::new((0, 0)) };

impl Bump {
    /// Room for `size` bytes more from `start`, if memory can grow that far.
    fn reach(room: &mut (usize, usize), start: usize, size: usize) -> Option<()> {
        let end = start.checked_add(size)?;
        if end > room.1 {
            let pages = (end - room.1).div_ceil(PAGE).max(PAGES_AT_ONCE);
            let before = wasm32::memory_grow(0, pages);
            if before == usize::MAX {
                return None;
            }
            // Nobody else grows the memory, so the new pages follow the old.
            room.1 = (before + pages).checked_mul(PAGE).unwrap_or(usize::MAX);
        }
        room.0 = end;
        Some(())
    }
}

// SAFETY: every piece lies in memory that was grown for this allocator alone, behind every other living piece.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and no reference lives longer than this function.
        let room = unsafe { &mut *self.room.get() };
        if room.1 == 0 {
            let end = wasm32::memory_size(0) * PAGE;
            *room = (end, end);
        }
        let Some(start) = room.0.checked_next_multiple_of(layout.align()) else { return ptr::null_mut() };
        Self::reach(room, start, layout.size()).map_or(ptr::null_mut(), |()| start as *mut u8)
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
            if piece as usize + layout.size() == room.0 {
                return Self::reach(room, piece as usize, size).map_or(ptr::null_mut(), |()| piece);
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
