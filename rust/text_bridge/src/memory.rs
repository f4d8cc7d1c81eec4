//! Counts what each thread holds of the heap, so that a template can be stopped before it takes
//! the machine's memory. The counter is one thread-local integer; the heap itself is the system's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that this thread has allocated and not released since it began. Only differences mean
/// something: memory may be released by another thread than the one that took it.
pub fn held() -> i64 {
    HELD.with(Cell::get)
}

fn count(bytes: i64) {
    // A thread that is ending has no counter any more; nothing renders there.
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(bytes)));
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        System.alloc(layout)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        System.alloc_zeroed(layout)
    }
    unsafe fn dealloc(&self, data: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        System.dealloc(data, layout)
    }
    unsafe fn realloc(&self, data: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        System.realloc(data, layout, size)
    }
}

#[global_allocator]
static HEAP: Counting = Counting;
