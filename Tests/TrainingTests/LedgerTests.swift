import Foundation
import PrivacyAccounting
import Testing

@testable import Training

@Suite struct LedgerTests {
    private let folder = ScratchFolder()
    private var path: String { folder.path + "/ledger" }

    private func mechanism(_ sampler: BatchSampler = .poisson(rate: 0.25)) -> PrivacyMechanism {
        PrivacyMechanism(
            sampler: sampler, clippingNorm: 0.5, noiseMultiplier: 1.25, steps: 9, datasetSize: 80, adjacency: .zeroOut,
            unit: "one person, 100 % = \"all\" rows")
    }

    @Test func recordsSurviveClosing() throws {
        let samplers = [BatchSampler.poisson(rate: 0.1), .truncatedPoisson(rate: 0.1, largestBatch: 12), .full]
        do {
            let ledger = try PrivacyLedger(path: path)
            for (index, sampler) in samplers.enumerated() {
                let id = try ledger.begin(mechanism(sampler), account: LedgerAccount(dataset: "set é \(index)"))
                for _ in 0..<index { try ledger.charge(id) }
            }
        }
        let runs = try PrivacyLedger.runs(in: path)
        let again = try PrivacyLedger(path: path)
        #expect(again.runs == runs)
        #expect(runs.map(\.sampler) == samplers && runs.map(\.charged) == [0, 1, 2])
        #expect(runs.map(\.dataset) == ["set é 0", "set é 1", "set é 2"])
        #expect(runs.allSatisfy { $0.unit == mechanism().unit && $0.adjacency == .zeroOut && $0.datasetSize == 80 })
        for (count, run) in runs.enumerated() { #expect(run.event == mechanism(samplers[count]).event(steps: count)) }
    }

    /// Correlated noise is charged as a whole, whole after whole, and never step by step.
    @Test func wholesSurviveClosing() throws {
        let mechanism = PrivacyMechanism(
            sampler: .cyclicPoisson(rate: 0.02, subsets: 8), clippingNorm: 1, noiseMultiplier: 2, steps: 50,
            datasetSize: 100, bands: 4)
        do {
            let ledger = try PrivacyLedger(path: path)
            let id = try ledger.begin(mechanism, account: LedgerAccount(dataset: "a"))
            #expect(ledger.runs[0].event.count == 0)
            for steps in [50, 17, 1] { try ledger.charge(id, wholeOf: steps) }
        }
        let run = try PrivacyLedger.runs(in: path)[0]
        #expect(run.wholes == [50, 17, 1] && run.charged == 68 && run.bands == 4)
        #expect(run.event == mechanism.restarted([17, 1]).event && run.event.count == 7 + 3 + 1)
        // Doubled, or left out.
        let lines = contents(path).split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
        let doubled = folder.write("doubled", Array((lines + [lines.last!]).joined()))
        #expect(dataError { _ = try PrivacyLedger.runs(in: doubled) }?.kind == .malformed)
        let removed = folder.write("removed", Array((lines.dropLast(2) + [lines.last!]).joined()))
        #expect(dataError { _ = try PrivacyLedger.runs(in: removed) }?.kind == .malformed)
    }

    /// Whatever a crash left of the last record, all before it stands, and the ledger goes on.
    @Test func everyTornEndIsCutOff() throws {
        do {
            let ledger = try PrivacyLedger(path: path)
            let id = try ledger.begin(mechanism(), account: LedgerAccount(dataset: "a"))
            for _ in 0..<3 { try ledger.charge(id) }
        }
        let whole = contents(path)
        let ends = whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        #expect(ends.count == 5)
        for length in whole.indices {
            let torn = folder.write("torn", Array(whole[..<length]))
            let complete = ends.count { $0 <= length } - 2
            let expected: Int? = complete >= 0 ? complete : nil
            let ledger = try PrivacyLedger(path: torn)
            #expect(ledger.runs.first?.charged == expected)
            let id = try ledger.begin(mechanism(), account: LedgerAccount(dataset: "b"))
            try ledger.charge(id)
            #expect(try PrivacyLedger.runs(in: torn) == ledger.runs)
        }
    }

    /// A forked process shares the descriptor of an open ledger, as a duplicate does.
    @Test func processesThatWereForkedDoNotKeepTheLedger() throws {
        let shared: Int32
        do {
            let ledger = try PrivacyLedger(path: path)
            let name = path.split(separator: "/").suffix(2).joined(separator: "/")
            let own = try #require(
                (0..<1024).first { descriptor in
                    let link = "/proc/self/fd/\(descriptor)"
                    return (try? FileManager.default.destinationOfSymbolicLink(atPath: link))?.hasSuffix(name) == true
                })
            shared = dup(Int32(own))
            #expect(dataError { _ = try PrivacyLedger(path: path) }?.kind == .inputOutput)
            withExtendedLifetime(ledger) {}
        }
        defer { close(shared) }
        _ = try PrivacyLedger(path: path)
    }

    @Test func damageIsNotOverlooked() throws {
        do {
            let ledger = try PrivacyLedger(path: path)
            let id = try ledger.begin(mechanism(), account: LedgerAccount(dataset: "a"))
            for _ in 0..<3 { try ledger.charge(id) }
        }
        let whole = contents(path)
        for index in whole.indices {
            var changed = whole
            changed[index] ^= 1
            let file = folder.write("changed", changed)
            // Without its newline the last line counts as torn.
            if index == whole.count - 1 { continue }
            let error = dataError { _ = try PrivacyLedger(path: file) }
            #expect(error?.kind == .malformed)
            #expect(contents(file) == changed)
        }
        // A charge taken out, or written twice.
        var lines = whole.split(separator: UInt8(ascii: "\n")).map { Array($0) + [UInt8(ascii: "\n")] }
        let last = lines.removeLast()
        let removed = folder.write("removed", Array((lines.dropLast() + [last]).joined()))
        #expect(dataError { _ = try PrivacyLedger.runs(in: removed) }?.kind == .malformed)
        let doubled = folder.write("doubled", Array((lines + [last, last]).joined()))
        #expect(dataError { _ = try PrivacyLedger.runs(in: doubled) }?.kind == .malformed)
    }

    @Test func oneProcessChargesAtATime() throws {
        let ledger = try PrivacyLedger(path: path)
        let error = try #require(dataError { _ = try PrivacyLedger(path: path) })
        #expect(error.kind == .inputOutput && error.message.contains("in use"))
        #expect(try PrivacyLedger.runs(in: path) == ledger.runs)
    }

    @Test func placesThatAreNoLedgerAreRefused() throws {
        #expect(dataError { _ = try PrivacyLedger(path: folder.path) }?.kind == .cannotCreate)
        #expect(dataError { _ = try PrivacyLedger(path: folder.path + "/none/ledger") }?.kind == .cannotCreate)
        #expect(dataError { _ = try PrivacyLedger(path: "/dev/full") }?.kind == .cannotCreate)
        #expect(dataError { _ = try PrivacyLedger.runs(in: folder.path + "/none") }?.kind == .missingInput)
        #expect(dataError { _ = try PrivacyLedger.runs(in: folder.write("empty", "")) }?.kind == .malformed)
    }

    @Test func onlyItsOwnerReadsIt() throws {
        _ = try PrivacyLedger(path: path)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(try #require(mode) & 0o077 == 0)
    }
}

@Suite struct TrainingStateTests {
    private let folder = ScratchFolder()
    private let state = TrainingState(
        stepCount: 12, optimizerSteps: 11, averageUpdates: 10, clippingNorm: 0.375, noiseVariance: 1e-9,
        values: [("a", [[1, 2, .nan], [3, 4, 5]]), ("b/c", [[-.infinity], [0]])])

    @Test func roundTrip() throws {
        let path = folder.path + "/checkpoint.safetensors"
        try state.write(to: path)
        let read = try TrainingState(path: path, like: state)
        #expect(read.stepCount == 12 && read.optimizerSteps == 11 && read.averageUpdates == 10)
        #expect(read.clippingNorm == 0.375 && read.noiseVariance == 1e-9)
        #expect(read.values.map(\.name) == ["a", "b/c"])
        for (one, other) in zip(read.values, state.values) {
            #expect(one.buffers.map { $0.map(\.bitPattern) } == other.buffers.map { $0.map(\.bitPattern) })
        }
    }

    @Test func anotherShapeIsRefused() throws {
        let path = folder.path + "/checkpoint.safetensors"
        try state.write(to: path)
        var other = state
        other.values[0].buffers[1] = [1]
        #expect(dataError { _ = try TrainingState(path: path, like: other) }?.kind == .mismatch)
        other = state
        other.values[1].name = "d"
        #expect(dataError { _ = try TrainingState(path: path, like: other) }?.kind == .mismatch)
    }
}
