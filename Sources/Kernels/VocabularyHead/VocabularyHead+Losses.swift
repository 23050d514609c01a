import Glibc

extension VocabularyHead {
    /// Scratch elements of `losses`.
    public var lossScratchCount: Int { blockCount + blockSamples * rowsPerSample }

    /// losses:[rows] = -log softmax(x weights + bias)[target], 0 where the target is ignored and NaN where it is no
    /// class; logSums:[rows], the logarithms of the sums of exponentials.
    public func losses(
        _ operands: Operands, into losses: UnsafeMutablePointer<Float>, logSums: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let blockSums = scratch + blockCount
        forSampleBlocks(0..<samples) { samples in
            let rows = rows(of: samples)
            (logSums + rows.lowerBound).update(repeating: -.infinity, count: rows.count)
            forClassBlocks { block in
                logits(operands, rows: rows, block: block, into: scratch, pool: pool)
                Rows.reduce(
                    .logSumExp, scratch, shape: [rows.count, block.count], axes: [1], into: blockSums, pool: pool)
                for (index, row) in rows.enumerated() {
                    logSums[row] = Self.logSum(logSums[row], blockSums[index])
                    let target = Int(operands.targets[row])
                    if block.contains(target) {
                        losses[row] = scratch[index * block.count + target - block.lowerBound]
                    }
                }
            }
            for row in rows {
                let target = operands.targets[row]
                if target == Self.ignoredTarget {
                    losses[row] = 0
                } else if (0..<Int64(classes)).contains(target) {
                    losses[row] = logSums[row] - losses[row]
                } else {
                    losses[row] = .nan
                }
            }
        }
    }

    /// log(exp(a) + exp(b)).
    private static func logSum(_ a: Float, _ b: Float) -> Float {
        if a.isNaN || b.isNaN { return .nan }
        let larger = max(a, b)
        if larger.isInfinite { return larger }
        return Float(Double(larger) + log1p(exp(Double(min(a, b)) - Double(larger))))
    }
}
