extension VocabularyHead {
    /// Scratch elements of `contraction`.
    public var contractionScratchCount: Int { blockCount }

    /// dw = (dw if `accumulate`) + sum_i factors[i] G_i for the weights' gradients G_i; dw is [classes, width] if
    /// `intoClassMajor`, else [width, classes].
    ///
    /// `factors`:[samples]. A sample whose factor is zero takes no part in the products, because it may hold NaN. Its rows
    /// are there while logits are computed, so that those of the others are the ones whose norms were taken, bit for bit.
    public func contraction(
        _ operands: Operands, logSums: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>,
        factors: UnsafePointer<Float>, into dw: UnsafeMutablePointer<Float>, intoClassMajor: Bool, accumulate: Bool,
        scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        var isFirst = !accumulate
        forSampleBlocks(0..<samples) { samples in
            let runs = runs(in: samples, factors)
            if runs.isEmpty { return }
            forClassBlocks { block in
                logitGradients(
                    operands, logSums: logSums, rowWeights: rowWeights, rows: rows(of: samples), block: block,
                    into: scratch, pool: pool)
                let count = block.count
                for (index, run) in runs.enumerated() {
                    let rows = rows(of: run)
                    let x = operands.x + rows.lowerBound * width
                    let gradient = scratch + (rows.lowerBound - samples.lowerBound * rowsPerSample) * count
                    pool.forRanges(rows.count, grain: Rows.rowGrain(count)) { range, _ in
                        for row in range {
                            let own = gradient + row * count
                            copyScaled(own, factors[(rows.lowerBound + row) / rowsPerSample], own, count)
                        }
                    }
                    let beta: Float = isFirst && index == 0 ? 0 : 1
                    if intoClassMajor {
                        gemm(
                            transposeA: true, m: count, n: width, k: rows.count, a: gradient, lda: count, b: x,
                            ldb: width, beta: beta, c: dw + block.lowerBound * width, ldc: width, pool: pool)
                    } else {
                        gemm(
                            transposeA: true, m: width, n: count, k: rows.count, a: x, lda: width, b: gradient,
                            ldb: count, beta: beta, c: dw + block.lowerBound, ldc: classes, pool: pool)
                    }
                }
            }
            isFirst = false
        }
        if isFirst { dw.update(repeating: 0, count: classes * width) }
    }

    /// Ranges of consecutive samples whose factors are not zero.
    private func runs(in samples: Range<Int>, _ factors: UnsafePointer<Float>) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for sample in samples where factors[sample] != 0 {
            if let last = runs.last, last.upperBound == sample {
                runs[runs.count - 1] = last.lowerBound..<sample + 1
            } else {
                runs.append(sample..<sample + 1)
            }
        }
        return runs
    }
}
