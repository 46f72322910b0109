// SessionTests.swift: the directory that programs and collector share, and what is left of dead ones.
import CRecording
import Glibc
import Testing

@testable import AllocationRecording

@Suite struct SessionTests {
    /// A base directory of the test's own.
    private final class Base {
        let path = "/dev/shm/session-tests-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        init() { mkdir(path, 0o700) }
        deinit {
            for name in SystemCalls.names(in: path) { unlink("\(path)/\(name)") }
            rmdir(path)
        }
    }

    private func mode(_ path: String) -> mode_t? {
        var info = stat()
        return lstat(path, &info) == 0 ? info.st_mode & 0o777 : nil
    }

    @Test func `a session is private, tells the program where it is, and leaves nothing behind`() throws {
        let base = Base()
        let session = try Session.create(frameLimit: 64, followChildren: false, bases: ["/nowhere", base.path])
        #expect(mode(session.directory) == 0o700)
        #expect(session.environment == ["TRACEMALLOC_SESSION": session.directory, "TRACEMALLOC_FRAMES": "64", "TRACEMALLOC_FOLLOW": "0"])
        close(open("\(session.directory)/1.0.recording", O_CREAT | O_WRONLY, 0o600))
        session.remove()
        #expect(SystemCalls.names(in: base.path) == [])
        session.remove()
    }

    @Test func `children are followed unless told otherwise`() throws {
        let base = Base()
        let session = try Session.create(frameLimit: 64, followChildren: true, bases: [base.path])
        #expect(session.environment["TRACEMALLOC_FOLLOW"] == nil)
        session.remove()
    }

    @Test func `what a dead session left behind is removed, what a living one has is not`() throws {
        let base = Base()
        let living = try Session.create(frameLimit: 64, followChildren: true, bases: [base.path])
        // No process has this number.
        let dead = "\(base.path)/tracemalloc-\(1 << 30)-x"
        mkdir(dead, 0o700)
        for name in ["lock", "1.0.recording"] { close(open("\(dead)/\(name)", O_CREAT | O_WRONLY, 0o600)) }
        let foreign = "\(base.path)/tracemalloc-\(1 << 30)-open"
        mkdir(foreign, 0o777)
        chmod(foreign, 0o777)
        symlink("/etc", "\(base.path)/tracemalloc-\(1 << 30)-link")
        let next = try Session.create(frameLimit: 64, followChildren: true, bases: [base.path])
        #expect(mode(dead) == nil)
        #expect(mode(foreign) != nil)
        #expect(mode(living.directory) != nil)
        #expect(mode("\(base.path)/tracemalloc-\(1 << 30)-link") != nil)
        next.remove()
        living.remove()
        rmdir(foreign)
    }

    @Test func `a session has one collector`() throws {
        let base = Base()
        let first = try Session.create(frameLimit: 64, followChildren: true, bases: [base.path])
        #expect(throws: RecordingError.alreadyServed(path: first.directory)) { try Session(joining: first.directory) }
        first.remove()
        let byHand = "\(base.path)/tracemalloc-\(getpid())-byhand"
        mkdir(byHand, 0o700)
        let joined = try Session(joining: byHand)
        #expect(joined.directory == byHand)
        joined.remove()
        #expect(mode(byHand) == nil)
    }

    @Test func `the bell is the collector's, private, and never keeps anybody waiting`() throws {
        let base = Base()
        let session = try Session.create(frameLimit: 64, followChildren: true, bases: [base.path])
        #expect(!Session.ringBell(in: session.directory), "there is no collector yet")
        let bell = try session.makeBell()
        defer { close(bell) }
        #expect(mode("\(session.directory)/\(TM_BELL_NAME)") == 0o600)
        // More than a FIFO holds.
        #expect((0..<70_000).allSatisfy { _ in Session.ringBell(in: session.directory) })
        var bytes = [UInt8](repeating: 0, count: 1 << 17)
        #expect(read(bell, &bytes, bytes.count) >= 4096)
        #expect(read(bell, &bytes, bytes.count) == -1 && errno == EAGAIN)
        session.remove()
        #expect(mode(session.directory) == nil)
    }

    @Test func `what stands in the place of the bell is left alone`() throws {
        let base = Base()
        let session = try Session.create(frameLimit: 64, followChildren: true, bases: [base.path])
        let place = "\(session.directory)/\(TM_BELL_NAME)"
        mkdir(place, 0o700)
        #expect(throws: RecordingError.cannotOpen(path: place, errno: EISDIR)) { _ = try session.makeBell() }
        rmdir(place)
        symlink("/dev/null", place)
        #expect(throws: RecordingError.cannotOpen(path: place, errno: ELOOP)) { _ = try session.makeBell() }
        #expect(!Session.ringBell(in: session.directory))
        session.remove()
    }

    @Test func `a directory in which others can replace what is ours is not used`() throws {
        var template = Array("/dev/shm/session-tests-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer { rmdir(folder) }
        for (mode, isSafe) in [(mode_t(0o777), false), (0o770, false), (0o1777, true), (0o755, true), (0o700, true)] {
            chmod(folder, mode)
            let session = try Session.create(frameLimit: 256, followChildren: true, bases: [folder, "/dev/shm"])
            #expect(session.directory.hasPrefix(folder) == isSafe, "\(String(mode, radix: 8))")
            session.remove()
        }
        guard geteuid() == 0 else { return }
        chown(folder, 65534, 65534)
        let session = try Session.create(frameLimit: 256, followChildren: true, bases: [folder, "/dev/shm"])
        #expect(!session.directory.hasPrefix(folder))
        session.remove()
    }

    @Test func `without a memory file system there is a sentence with a way out`() {
        #expect(throws: RecordingError.noMemoryFileSystem(tried: ["/proc", "relative"])) {
            try Session.create(frameLimit: 64, followChildren: true, bases: ["/proc", "relative"])
        }
        #expect(RecordingError.noMemoryFileSystem(tried: ["/proc"]).description.contains("--shm-size"))
    }

    @Test func `a process that waits with the library of another version is not started`() throws {
        let segment = shmget(0, Int(TM_PAGE), 0o600)
        let page = try #require(tm_rendezvous_attach(segment))
        shmctl(segment, IPC_RMID, nil)
        page.pointee.version = TM_RECORDING_VERSION - 1
        page.pointee.magic = 0x3145_4c44_4943_4c41
        #expect(refusal() == .cannotStart(pid: getpid(), .otherVersion))
        page.pointee.version = TM_RECORDING_VERSION
        #expect(refusal() == nil)
        tm_rendezvous_detach(page)
        #expect(refusal() == .cannotStart(pid: getpid(), .notIdle))
    }

    /// Why this process cannot be started. Other tests record this process for a moment: that is not the answer.
    private func refusal() -> RecordingError? {
        for _ in 0..<6000 {
            do throws(RecordingError) { _ = try IdleProcess(pid: getpid()) } catch {
                guard error == .cannotStart(pid: getpid(), .recorded) else { return error }
                usleep(10_000)
                continue
            }
            return nil
        }
        return .cannotStart(pid: getpid(), .recorded)
    }
}
