//! Limits of work and memory for any input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use entry::{Policy, ProposedEntry, Refusal, VerifiedEntry, Work};

use crate::NOW;

/// Memory that checking may take: so many times the length of a body, the body itself among them,
/// and so many bytes.
const MEMORY_PER_BYTE: usize = 4;
const MEMORY: usize = 8 * 1024 * 1024;

/// Parses and verifies a body, and checks that it took no more work and memory than its length
/// allows.
pub(crate) fn verify(
    parse: fn(&[u8]) -> Result<ProposedEntry, Refusal>,
    body: &[u8],
) -> Result<VerifiedEntry, Refusal> {
    let (outcome, peak) = peak_of(|| match parse(body) {
        Ok(proposed) => {
            let (outcome, work) = proposed.verify_counting(&Policy::default(), NOW);
            check_work(&work, body.len(), outcome.is_ok());
            outcome
        }
        Err(refusal) => Err(refusal),
    });
    check_memory(peak, body.len());
    if let Ok(entry) = &outcome {
        crate::summaries::check_summary_of(entry);
    }
    outcome
}

/// The same for bytes that are not an entry.
pub(crate) fn within<T>(bytes: &[u8], read: impl FnOnce(&mut Work) -> T) -> T {
    let mut work = Work::of_request(bytes.len());
    let (outcome, peak) = peak_of(|| read(&mut work));
    check_work(&work, bytes.len(), false);
    check_memory(peak, bytes.len());
    outcome
}

/// The refusal of an entry that is one of the v1 API.
pub fn refusal(body: &[u8]) -> Option<String> {
    verify(ProposedEntry::from_json, body)
        .err()
        .map(|refusal| refusal.to_string())
}

/// Checks that `read` takes no more memory than bytes of this length may cost.
pub fn assert_memory<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
    within(bytes, |_| read(bytes))
}

fn check_work(work: &Work, length: usize, is_accepted: bool) {
    assert!(
        work.spent() <= Work::of_request(length).limit(),
        "{} ns of work for {length} bytes",
        work.spent()
    );
    assert!(
        !(is_accepted && work.is_exhausted()),
        "accepted, though some work was not done"
    );
}

fn check_memory(peak: usize, length: usize) {
    let limit = MEMORY + (MEMORY_PER_BYTE - 1) * length;
    assert!(
        peak <= limit,
        "{peak} bytes of memory for {length} bytes, the limit is {limit}"
    );
}

/// Runs `work` and tells how much more memory than before this thread held meanwhile.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let outcome = work();
    (outcome, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

thread_local! {
    // Both without a destructor, so that they can be used wherever something is allocated.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread holds.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    if held > PEAK.get() {
        PEAK.set(held);
    }
}

// Safety: every call goes to the system's allocator as it comes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may be there at once.
        count(size as isize);
        count(-(layout.size() as isize));
        unsafe { System.realloc(pointer, layout, size) }
    }
}
