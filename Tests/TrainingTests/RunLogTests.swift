import Foundation
import Testing

@testable import Training

@Suite struct RunLogTests {
    private let folder = ScratchFolder()
    private var logs: String { folder.path + "/logs" }

    private func step(_ number: Int, loss: Double? = 0.5) -> RunLog.Step {
        let report = Trainer.StepReport(
            step: number, learningRate: 0.25, sampleCount: 7, loss: loss, clippedShare: 0.5, excludedCount: 1,
            medianNorm: 2, largestNorm: .infinity)
        return RunLog.Step(report, epsilon: 1.5, withDiagnostics: true)
    }

    private func openLog(isResumed: Bool = false) throws -> RunLog {
        try RunLog(folder: logs, description: ["steps": 3], isResumed: isResumed)
    }

    /// The test vectors of RFC 3720, appendix B.4.
    @Test func checksums() {
        #expect(Checksum32C.of(Array("123456789".utf8)) == 0xE306_9283)
        #expect(Checksum32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(Checksum32C.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(Checksum32C.of((0..<32).map(UInt8.init)) == 0x46DD_794E)
    }

    @Test func eventsAreFramedAsRecords() throws {
        try openLog().append(step(3))
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: logs).first { $0.hasPrefix("events.out.tfevents.") })
        var rest = contents(logs + "/" + name)[...]
        var records: [[UInt8]] = []
        func number(_ bytes: some Collection<UInt8>) -> UInt64 {
            bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        while !rest.isEmpty {
            let length = rest.prefix(8)
            #expect(number(rest.dropFirst(8).prefix(4)) == UInt64(Checksum32C.masked(length)))
            let data = rest.dropFirst(12).prefix(Int(number(length)))
            rest = rest.dropFirst(12 + data.count)
            #expect(number(rest.prefix(4)) == UInt64(Checksum32C.masked(data)))
            rest = rest.dropFirst(4)
            records.append(Array(data))
        }
        #expect(records.count == 2)
        // Wall time, then field 3: the version.
        #expect(records[0][0] == 0x09 && records[0].dropFirst(9).starts(with: [0x1A, 13] + "brain.Event:2".utf8))
        // Field 2: the step; field 5: the summary, whose first value is the learning rate 0.25.
        #expect(Array(records[1][9...11]) == [0x10, 3, 0x2A])
        let tag = Data([0x0A, 13] + "learning_rate".utf8 + [0x15, 0, 0, 0x80, 0x3E])
        #expect(Data(records[1]).range(of: tag) != nil)
        #expect(Data(records[1]).range(of: Data(RunLog.stamp.utf8)) != nil)
    }

    @Test func aResumedRunGoesOnAfterItsLastWholeLine() throws {
        do {
            let log = try openLog()
            for number in 1...4 { try log.append(step(number)) }
        }
        #expect(throws: DataError.self) { try openLog() }
        let path = logs + "/metrics.jsonl"
        let whole = contents(path)
        try Data(whole.dropLast(20)).write(to: URL(fileURLWithPath: path))
        // A line that is being written is not looked at.
        #expect(try RunLog.entries(in: logs).map(\.step) == [1, 2, 3])
        let log = try openLog(isResumed: true)
        try log.append(step(3, loss: nil))
        let entries = try RunLog.entries(in: logs)
        #expect(entries.map(\.step) == [1, 2, 3])
        #expect(entries.map(\.loss) == [0.5, 0.5, nil])
        #expect(entries[0].largestNorm == .infinity && entries[0].epsilon == 1.5 && entries[0].clippedShare == 0.5)
    }

    @Test func aFileThatWasOpenToOthersIsClosed() throws {
        try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        let path = logs + "/metrics.jsonl"
        #expect(FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o644]))
        _ = try openLog()
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }
}
