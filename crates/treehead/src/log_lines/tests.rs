use super::*;

/// A disk with room for a few more bytes.
struct Disk {
    room: usize,
    content: Vec<u8>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        let written = bytes.len().min(self.room);
        self.room -= written;
        self.content.extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that no thread writes.
fn unread() -> &'static Lines {
    let lines = Box::leak(Box::new(Lines::new()));
    lines.lock().writer = Writer::Idle;
    lines
}

#[test]
fn lines_that_a_full_disk_refuses_are_counted_and_the_next_line_is_whole() {
    let mut output = Output::new(Disk {
        room: 8,
        content: Vec::new(),
    });
    assert_eq!(output.write(b"first\nsecond\nthird\n"), 2);
    assert_eq!(output.write(b"fourth\n"), 1);
    output.to.room = 100;
    assert_eq!(output.write(b"fifth\n"), 0);
    assert_eq!(output.write(b"sixth\n"), 0);
    assert_eq!(
        String::from_utf8_lossy(&output.to.content),
        "first\nse\nfifth\nsixth\n"
    );
}

#[test]
fn lines_beyond_the_buffer_are_dropped_and_counted() {
    let lines = unread();
    let access = [b'a'; 1023]
        .iter()
        .chain(b"\n")
        .copied()
        .collect::<Vec<u8>>();
    let fitting = (MAX_WAITING_BYTES - KEPT_FROM_ACCESS_BYTES) / access.len();
    for _ in 0..fitting + 3 {
        lines.add(&access, Urgency::Soon);
    }
    assert_eq!(lines.lock().dropped, 3);
    lines.add(b"what is wrong\n", Urgency::AtOnce);
    assert_eq!(lines.lock().dropped, 3, "the access log leaves room for it");
    lines.add(&vec![b'x'; MAX_WAITING_BYTES], Urgency::AtOnce);
    assert_eq!(lines.lock().dropped, 4);
    let mut batch = Vec::new();
    lines.take(&mut batch);
    assert!(batch.ends_with(b"a\nwhat is wrong\n"), "in order");
    assert_eq!(
        lines.finish_batch(1),
        0,
        "nothing can be told through a stderr that fails"
    );
    assert_eq!(lines.finish_batch(0), 5);
    assert_eq!(lines.finish_batch(0), 0);
}

#[test]
fn dropped_lines_are_reported_into_a_full_buffer() {
    let lines = unread();
    lines.add(&vec![b'x'; MAX_WAITING_BYTES], urgency("treehead"));
    lines.add(b"no room\n", urgency("treehead"));
    lines.add(b"1 was dropped\n", urgency(DROPPED));
    let waiting = lines.lock();
    assert_eq!(waiting.dropped, 1);
    assert!(waiting.bytes.ends_with(b"x1 was dropped\n"));
}

#[test]
fn lines_that_no_thread_could_write_are_counted_at_the_end() {
    let lines = unread();
    lines.add(b"one\ntwo\n", Urgency::AtOnce);
    lines.lock().writer = Writer::Absent;
    lines.finish(Duration::from_millis(1));
    assert_eq!(lines.lock().dropped, 2);
}

#[test]
fn the_end_does_not_wait_for_an_absent_reader() {
    let lines = unread();
    lines.add(b"a line of this test\n", Urgency::Soon);
    lines.finish(Duration::from_millis(1));
    assert!(!lines.lock().bytes.is_empty());
}
