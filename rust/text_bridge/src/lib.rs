//! Tokenizers, chat templates and grammars behind one C header (include/text_bridge.h).
//!
//! Every `extern "C"` function runs its body under `guard` or `quietly`: a panic never unwinds
//! into C++. Every handle made by a `_new` is released by exactly one `_free`.

mod fast_encode;
mod grammar;
mod memory;
mod schema;
mod stop_regex;
mod stream;
mod template;
mod token_span;
mod tokenizer;
mod word_cache;
mod words;

use std::os::raw::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

pub const TB_OK: c_int = 0;
pub const TB_ERROR: c_int = -1;
pub const TB_PANIC: c_int = -2;
pub const TB_RAISED: c_int = -3;
pub const TB_LIMIT: c_int = -4;
pub const TB_BUSY: c_int = -5;

/// What a body returns when it fails: a status and one line of text.
pub struct Failure {
    pub status: c_int,
    pub text: String,
}
impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure { status: TB_ERROR, text: format!("{error:#}") }
    }
}
pub type Outcome<T> = Result<T, Failure>;
pub fn refuse<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Failure { status: TB_ERROR, text: text.into() })
}

macro_rules! owned_array {
    ($name:ident, $element:ty, $free:ident) => {
        /// A vector handed to C++.
        #[repr(C)]
        pub struct $name {
            data: *mut $element,
            size: usize,
            reserved: usize,
        }
        impl From<Vec<$element>> for $name {
            fn from(vector: Vec<$element>) -> Self {
                let mut vector = std::mem::ManuallyDrop::new(vector);
                $name { data: vector.as_mut_ptr(), size: vector.len(), reserved: vector.capacity() }
            }
        }
        /// # Safety
        /// `array` is null, zeroed, or was filled by this library.
        #[no_mangle]
        pub unsafe extern "C" fn $free(array: *mut $name) {
            if let Some(array) = array.as_mut() {
                if !array.data.is_null() {
                    let old = Vec::from_raw_parts(array.data, array.size, array.reserved);
                    *array = $name { data: std::ptr::null_mut(), size: 0, reserved: 0 };
                    quietly((), || drop(old));
                }
            }
        }
    };
}
owned_array!(TbBytes, u8, tb_bytes_free);
owned_array!(TbIds, u32, tb_ids_free);

/// Bytes that somebody else keeps.
#[repr(C)]
pub struct TbView {
    data: *const u8,
    size: usize,
}
impl From<&[u8]> for TbView {
    fn from(bytes: &[u8]) -> Self {
        TbView { data: bytes.as_ptr(), size: bytes.len() }
    }
}

/// Panics are reported as a status; the default hook would also print them.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|_| {}));
        // One request must not take every core: our callers spread the work themselves.
        tokenizers::utils::parallelism::set_parallelism(false);
    });
}

pub fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())
}

/// Runs `body`; a failure or a panic becomes a status and text in `*error`.
///
/// # Safety
/// `error` is null or writable.
pub unsafe fn guard(error: *mut TbBytes, body: impl FnOnce() -> Outcome<()>) -> c_int {
    silence_panics();
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return TB_OK,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure { status: TB_PANIC, text: panic_text(panic) },
    };
    if !error.is_null() {
        error.write(TbBytes::from(failure.text.into_bytes()));
    }
    failure.status
}

/// For getters and frees: a panic gives `fallback`.
pub fn quietly<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    silence_panics();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// # Safety
/// `handle` is null or came from `Box::into_raw`.
pub unsafe fn release<T>(handle: *mut T) {
    if !handle.is_null() {
        quietly((), || drop(Box::from_raw(handle)));
    }
}

/// # Safety
/// `data` points at `count` readable elements, or `count` is 0.
pub unsafe fn view<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, count)
    }
}

/// # Safety
/// As `view`.
pub unsafe fn text_view<'a>(data: *const u8, size: usize) -> Outcome<&'a str> {
    std::str::from_utf8(view(data, size))
        .map_err(|e| Failure { status: TB_ERROR, text: format!("not UTF-8: {e}") })
}

/// # Safety
/// `error` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn tb_test_panic(error: *mut TbBytes) -> c_int {
    guard(error, || panic!("on purpose"))
}
