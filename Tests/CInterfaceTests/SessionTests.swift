import DPONNX
import Foundation
import Testing

/// Sessions that keep an account.
@Suite struct SessionTests {
    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("DPONNXTests/Fixtures/mlp").path

    private func request(ledger: String? = nil) -> TrainingRequest {
        var request = TrainingRequest()
        request.privacy.noiseMultiplier = 1
        request.privacy.delta = 1e-5
        request.privacy.datasetSize = 5
        request.privacy.batchSize = 3
        request.privacy.steps = 4
        request.threads = 1
        (request.record.ledger, request.record.dataset) = (ledger, ledger.map { _ in "people" })
        return request
    }

    private func rows(_ numbers: [Int]) throws -> [NamedArray] {
        let file = try ArrayFile(path: Self.fixture + ".data.npz")
        let (x, labels) = (try file.array("x"), try file.array("labels"))
        var values = [Float](repeating: 0, count: numbers.count * x.rowElementCount)
        values.withUnsafeMutableBufferPointer { x.gather(rows: numbers, into: $0) }
        var classes = [Int64](repeating: 0, count: numbers.count)
        try classes.withUnsafeMutableBufferPointer { try labels.gather(rows: numbers, into: $0) }
        return [
            NamedArray(name: "x", shape: [numbers.count] + x.rowShape, values: values),
            NamedArray(name: "labels", shape: [numbers.count], values: classes),
        ]
    }

    @Test func aLedgerTakesDrawnBatchesAlone() throws {
        let ledger = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).ledger").path
        defer { try? FileManager.default.removeItem(atPath: ledger) }
        let session = try TrainingSession(path: Self.fixture + ".onnx", request(ledger: ledger))
        let example = try session.batch(of: rows([0]))
        try session.prepare(example)
        let before = session.weights().map(\.values)
        try session.accumulate(try session.batch(of: rows([0, 1])))
        #expect(throws: UsageError.self) { try session.finishStep() }
        #expect(session.weights().map(\.values) == before && session.stepCount == 0)
        session.discardBatch()
        for _ in 0..<4 {
            let drawn = try session.drawBatch()
            if !drawn.isEmpty { try session.accumulate(try session.batch(of: rows(drawn))) }
            _ = try session.finishStep()
        }
        #expect(try PrivacyLedger.runs(in: ledger).map(\.charged) == [4])
        #expect(try session.epsilon(delta: 1e-5) == session.statement().bound.epsilon)
    }

    @Test func aBatchOfAnotherSizeThanDrawnIsForeign() throws {
        let session = try TrainingSession(path: Self.fixture + ".onnx", request())
        let drawn = try session.drawBatch().count
        try session.accumulate(try session.batch(of: rows(Array(repeating: 0, count: drawn + 1))))
        _ = try session.finishStep()
        #expect(session.foreignSteps == 1 && session.pendingDraws.isEmpty)
        #expect(try session.epsilon(delta: 1e-5) == .infinity)
        #expect(try session.statement().isPrivate == false)
    }

    @Test func samplesKeepTheirShape() throws {
        let session = try TrainingSession(path: Self.fixture + ".onnx", request())
        try session.accumulate(try session.batch(of: rows([0, 1])))
        let narrow = [
            NamedArray(name: "x", shape: [1, 5], values: [Float](repeating: 0, count: 5)),
            NamedArray(name: "labels", shape: [1], values: [Int64(0)]),
        ]
        #expect(throws: DataError.self) { try session.accumulate(try session.batch(of: narrow)) }
        // What had been accumulated went with it.
        let report = try session.finishStep()
        #expect(report.sampleCount == 0)
    }
}
