public import Execution
import FoundationEssentials
import TensorGraph

/// Writes the nodes of one step in the trace event format that Perfetto and Chrome open. Times may depend on data: the file
/// is stamped, and its owner's alone.
/// - Throws: `DataError` if the file cannot be written.
public func writeTrace(_ timings: [NodeTiming], to path: String) throws {
    struct Event: Encodable {
        struct Details: Encodable {
            var node: String
            var inputs: [String]
            var gflop, gflopPerSecond, megabytes: Double
        }
        var name: String
        var cat: String
        var ph = "X"
        var pid = 1
        var tid = 1
        /// Microseconds.
        var ts, dur: Double
        var args: Details
    }
    struct Trace: Encodable {
        var traceEvents: [Event]
        var otherData = ["stamp": RunLog.stamp]
    }
    let events = timings.map { timing in
        Event(
            name: timing.operation, cat: timing.origin.operatorType, ts: timing.start * 1e6, dur: timing.seconds * 1e6,
            args: Event.Details(
                node: timing.origin.name, inputs: timing.types, gflop: timing.operationCount / 1e9,
                gflopPerSecond: timing.operationCount / max(timing.seconds, 1e-9) / 1e9,
                megabytes: Double(timing.byteCount) / 1e6))
    }
    let file = try AtomicFile(path: path, permissions: 0o600)
    try file.write([UInt8](JSONEncoder().encode(Trace(traceEvents: events))), at: 0)
    try file.commit()
}
