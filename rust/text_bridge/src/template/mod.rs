//! Chat templates as transformers renders them: jinja2's sandbox with trim_blocks, lstrip_blocks,
//! loop controls, and its own tojson, raise_exception and strftime_now.
//!
//! minijinja reads the source; its machine is not used, because nothing there bounds the memory a
//! template takes, and because it computes with its own values where jinja2 has Python's. The
//! walk over the tree (eval) has Python's values (value, ops, text, format, methods) and charges
//! every step and every byte to a budget.

mod ast;
mod budget;
mod calls;
mod checks;
mod context;
mod eval;
mod filters;
mod format;
mod lists;
mod lower;
mod methods;
mod ops;
mod text;
mod value;

use crate::{
    guard, release, text_view, view, Failure, Outcome, TbBytes, TB_ERROR, TB_LIMIT, TB_RAISED,
};
use budget::{Budget, Limits};
use std::os::raw::c_int;
use value::{fault, Fault, Res, Scope};

pub struct TbTemplate {
    program: ast::Program,
    limits: Limits,
}

/// Python's datetime.strftime asks the C library too.
fn strftime(now_local: i64, format: &str) -> Res<String> {
    if format.len() > 1000 {
        return Err(Fault::Limit("a time format of more than 1000 bytes".into()));
    }
    let Ok(format) = std::ffi::CString::new(format) else {
        return fault("ValueError: embedded null character");
    };
    let mut buffer = vec![0u8; 64 * 1024];
    // SAFETY: valid pointers; gmtime_r and strftime fill what they are given and no more.
    let size = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        let seconds = now_local as libc::time_t;
        if libc::gmtime_r(&seconds, &mut parts).is_null() {
            return fault("ValueError: year is out of range");
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), format.as_ptr(), &parts)
    };
    buffer.truncate(size);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

fn failure(fault: Fault) -> Failure {
    let (status, text) = match fault {
        Fault::Raised(text) => (TB_RAISED, text),
        Fault::Error(text) => (TB_ERROR, text),
        Fault::Limit(text) => (TB_LIMIT, text),
        Fault::Break | Fault::Continue => (TB_ERROR, "outside of a loop".into()),
    };
    Failure { status, text }
}

impl TbTemplate {
    fn new(source: &str, limits: Limits) -> Outcome<TbTemplate> {
        Ok(TbTemplate { program: lower::compile(source)?, limits })
    }

    fn render(&self, context: &[u8], now_local: i64) -> Res<String> {
        let mut budget = Budget::new(self.limits);
        let context = context::parse(context, &mut budget)?;
        let scope = Scope::inside(None);
        let mut render = eval::Render {
            program: &self.program,
            context,
            budget,
            now_local,
            out: String::new(),
            scope,
        };
        render.body(&self.program.body)?;
        Ok(render.out)
    }
}

/// Compiling runs on a thread of its own: the parser goes deeper for a long source than the stack
/// of a caller's small thread may be. Rendering runs on the caller's: DEPTH_MAX of the budget and
/// NESTING_MAX of values bound its depth.
const STACK_BYTES: usize = 16 << 20;

#[no_mangle]
pub unsafe extern "C" fn tb_template_new(
    source: *const u8,
    size: usize,
    limits: *const Limits,
    out: *mut *mut TbTemplate,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let (source, limits) = (text_view(source, size)?, *limits);
        let made = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            let compile = thread.spawn_scoped(scope, || TbTemplate::new(source, limits))?;
            match compile.join() {
                Ok(made) => made,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        *out = Box::into_raw(Box::new(made));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_template_free(template: *mut TbTemplate) {
    release(template);
}

#[no_mangle]
pub unsafe extern "C" fn tb_template_render(
    template: *const TbTemplate,
    context: *const u8,
    size: usize,
    now_local: i64,
    out: *mut TbBytes,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let text = (*template).render(view(context, size), now_local).map_err(failure)?;
        out.write(text.into_bytes().into());
        Ok(())
    })
}

#[cfg(test)]
mod tests;
