import DPONNX

/// Trains `model` on `x` [rows, features] and `labels` [rows] and returns what it cost.
func fineTune(_ model: String, x: [[Float]], labels: [Int64], output: String) throws -> Double {
    var request = TrainingRequest()
    request.privacy.noiseMultiplier = 1
    request.privacy.delta = 1e-5
    request.privacy.datasetSize = x.count
    request.privacy.batchSize = 2
    request.privacy.steps = 3
    request.optimization.learningRate = 0.1

    let session = try TrainingSession(path: model, request)
    if let problem = try session.check().problems.first { throw UsageError(problem.message) }

    func batch(_ rows: [Int]) throws -> DataSet {
        try session.batch(of: [
            NamedArray(name: "x", shape: [rows.count, x[0].count], values: rows.flatMap { x[$0] }),
            NamedArray(name: "labels", shape: [rows.count], values: rows.map { labels[$0] }),
        ])
    }

    // Sizes are taken from an example, as the first batch may be empty.
    try session.prepare(batch([0]))
    while session.stepsLeft > 0 {
        let rows = try session.drawBatch()
        if !rows.isEmpty { try session.accumulate(batch(rows)) }
        _ = try session.finishStep()
    }
    try session.save(to: output)
    return try session.epsilon(delta: 1e-5)
}
