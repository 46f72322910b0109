// Supervisor.swift: starts the program, stands between it and the signals, and waits for it and all it leaves behind.
import AllocationProfile
import CLinux
import Glibc

/// The parent of the traced program and, as subreaper, of the daemons and orphans that it leaves.
///
/// All signals that matter are blocked in every thread of ours and taken by `wait` one at a time, so no handler runs and
/// nothing is interrupted. The program is started with the mask and the dispositions that we were started with.
struct Supervisor {
    private let mask: sigset_t
    /// Signals that we ignore for our own sake, and the program does not.
    private let defaults: [Int32]
    private let waitsForAll: Bool

    private static let forwarded = [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]
    private static let fromTerminal = [SIGINT, SIGQUIT]
    private static let awaited = forwarded + fromTerminal + [SIGCHLD]

    /// To be made before any other thread is started: threads inherit the mask.
    /// - Parameter waitsForAll: also wait for the descendants that outlive the program.
    init(waitsForAll: Bool) {
        // A terminal that went away, or one that is not ours to write to, must not cost the recording.
        // Nor a file that may not grow any more.
        defaults = [SIGPIPE, SIGXFSZ].filter { !Unsafe.isIgnored($0) }
        for signal in [SIGPIPE, SIGXFSZ] { Glibc.signal(signal, SIG_IGN) }
        // Where SIGCHLD is ignored the kernel throws exit codes away.
        signal(SIGCHLD, SIG_DFL)
        mask = Unsafe.block(Supervisor.awaited + [SIGTTOU])
        self.waitsForAll = waitsForAll
        if waitsForAll { tm_become_subreaper() }
    }

    func start(
        _ program: TracedProgram, argumentCount: Int, environment: [String: String], streams: [(from: Int32, to: Int32)] = []
    ) throws(CommandError) -> pid_t {
        let launch = program.launch(argumentCount: argumentCount)
        do {
            return try Unsafe.spawn(
                launch.path, arguments: launch.arguments, ownArguments: launch.ownArguments, environment: environment, mask: mask,
                defaults: defaults, streams: streams
            ).get()
        } catch { throw .cannotStart(program: program.path, error) }
    }

    /// Returns how `main` ended when everything that is waited for has ended, or when the user does not want to wait for the
    /// rest. `ended` hears of every process that was ours to wait for.
    func wait(for main: pid_t, ended: (pid_t, ProcessExit) -> Void, mainEnded: () -> Void) -> ProcessExit {
        var exit: ProcessExit?
        while true {
            while case .success(let child?) = Unsafe.reap() {
                let how = Supervisor.exit(ofStatus: child.status)
                ended(child.pid, how)
                if child.pid == main { exit = how }
            }
            if let exit, !waitsForAll || !hasChildren { return exit }
            if exit != nil { mainEnded() }
            let (signal, isFromProcess) = Unsafe.wait(for: Supervisor.awaited)
            if signal == SIGCHLD { continue }
            if let exit { return exit }
            // The terminal sends its signals to the program as well as to us; everything else comes to us alone.
            if Supervisor.forwarded.contains(signal) || isFromProcess { kill(main, signal) }
        }
    }

    private var hasChildren: Bool {
        var information = siginfo_t()
        return waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0
    }

    static func exit(ofStatus status: Int32) -> ProcessExit {
        let signal = status & 0x7f
        return signal == 0 ? .code(status >> 8 & 0xff) : .signal(signal)
    }
}
