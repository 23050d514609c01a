extension VocabularyHead {
    /// Scratch elements of `gradients` for a pool of `workers` threads.
    public func gradientScratchCount(tellsNorms: Bool, workers: Int) -> Int {
        guard tellsNorms else { return blockCount }
        return blockCount + blockSamples * gramCount + max(workers * tileCount, instantiatedCount)
    }

    private var gramCount: Int { rowsPerSample * rowsPerSample }
    private var tileCount: Int { min(rowsPerSample, GhostNorm.tile) * min(rowsPerSample, GhostNorm.tile) }
    private var instantiatedCount: Int { classLimit * width }

    /// What `gradients` writes; nil for what is not wanted.
    public struct GradientOutputs {
        /// [rows, width], of x.
        let x: UnsafeMutablePointer<Float>?
        /// [samples], the squared norms of the samples' gradients of the weights, by the linear rule of ghost norms.
        let squaredNorms: UnsafeMutablePointer<Double>?
        /// [rows / rowsPerBias, classes], gradients of the bias.
        let bias: UnsafeMutablePointer<Float>?
        /// Consecutive rows, a divisor of `rowsPerSample`, over which a gradient of the bias is summed.
        let rowsPerBias: Int

        public init(
            x: UnsafeMutablePointer<Float>?, squaredNorms: UnsafeMutablePointer<Double>?,
            bias: UnsafeMutablePointer<Float>?, rowsPerBias: Int
        ) {
            self.x = x
            self.squaredNorms = squaredNorms
            self.bias = bias
            self.rowsPerBias = rowsPerBias
        }
    }

    /// The gradients of x and of the bias and the norms of those of the weights, all out of the same blocks.
    ///
    /// Gram matrices [rowsPerSample, rowsPerSample] of the logits' gradients add up over blocks of classes. A sample for
    /// which the sum of their products with those of x has cancelled (see `linearGhostNorms`) is instantiated, some
    /// classes at a time.
    public func gradients(
        _ operands: Operands, logSums: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>,
        into outputs: GradientOutputs, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let grams = scratch + blockCount
        let rest = grams + blockSamples * gramCount
        forSampleBlocks(0..<samples) { samples in
            let rows = rows(of: samples)
            forClassBlocks { block in
                let beta: Float = block.lowerBound == 0 ? 0 : 1
                logitGradients(
                    operands, logSums: logSums, rowWeights: rowWeights, rows: rows, block: block, into: scratch,
                    pool: pool)
                if let x = outputs.x {
                    let own = weights(operands, of: block)
                    gemm(
                        transposeB: !isClassMajor, m: rows.count, n: width, k: block.count, a: scratch,
                        lda: block.count, b: own.pointer, ldb: own.stride, beta: beta,
                        c: x + rows.lowerBound * width, ldc: width, pool: pool)
                }
                if outputs.squaredNorms != nil {
                    batchedGemm(
                        transposeB: true, batch: samples.count, m: rowsPerSample, n: rowsPerSample, k: block.count,
                        a: scratch, lda: block.count, strideA: rowsPerSample * block.count, b: scratch,
                        ldb: block.count, strideB: rowsPerSample * block.count, beta: beta, c: grams,
                        ldc: rowsPerSample, strideC: gramCount, pool: pool)
                }
                if let bias = outputs.bias {
                    addUp(scratch, rows, block, rowsPerSum: outputs.rowsPerBias, into: bias, pool)
                }
            }
            guard let norms = outputs.squaredNorms else { return }
            let sums = productsOfGrams(operands, grams, rowWeights, samples, scratch: rest, pool)
            var cancelled: [Int] = []
            for (sample, grams) in zip(samples, sums) {
                norms[sample] = grams.sum
                // Without a gradient there is nothing to instantiate.
                let isCertain =
                    grams.isTrusted(positions: rowsPerSample)
                    || !self.rows(of: sample..<sample + 1).contains { hasGradient($0, operands, rowWeights) }
                if !isCertain { cancelled.append(sample) }
            }
            if cancelled.isEmpty { return }
            let squares = squaredNormsByInstantiation(
                cancelled, of: samples, operands, logSums, rowWeights, gradient: scratch, buffer: rest, pool)
            for (sample, square) in zip(cancelled, squares) { norms[sample] = square }
        }
    }

    /// The columns `block` of bias = the sums of the gradient over every `rowsPerSum` rows.
    private func addUp(
        _ gradient: UnsafePointer<Float>, _ rows: Range<Int>, _ block: Range<Int>, rowsPerSum: Int,
        into bias: UnsafeMutablePointer<Float>, _ pool: ThreadPool
    ) {
        pool.forEach(rows.count / rowsPerSum) { index, _ in
            let sum = bias + (rows.lowerBound / rowsPerSum + index) * classes + block.lowerBound
            sum.update(repeating: 0, count: block.count)
            for row in index * rowsPerSum..<(index + 1) * rowsPerSum {
                addRow(sum, gradient + row * block.count, block.count)
            }
        }
    }

    /// For each sample what the two Gram matrices tell.
    private func productsOfGrams(
        _ operands: Operands, _ grams: UnsafePointer<Float>, _ rowWeights: UnsafePointer<Float>, _ samples: Range<Int>,
        scratch: UnsafeMutablePointer<Float>, _ pool: ThreadPool
    ) -> [GhostNorm.GramSum] {
        var result = [GhostNorm.GramSum](repeating: .init(), count: samples.count)
        result.withUnsafeMutableBufferPointer { result in
            let sums = result.baseAddress!
            pool.forEach(samples.count) { index, worker in
                let firstRow = (samples.lowerBound + index) * rowsPerSample
                let x = PositionMatrix(
                    pointer: operands.x + firstRow * width, stride: width, features: width, isFeatureMajor: false)
                sums[index] = product(
                    of: grams + index * gramCount, andGramOf: x, tile: scratch + worker * tileCount
                ) { hasGradient(firstRow + $0, operands, rowWeights) }
            }
        }
        return result
    }

    private func product(
        of gram: UnsafePointer<Float>, andGramOf x: PositionMatrix, tile: UnsafeMutablePointer<Float>,
        hasGradient: (Int) -> Bool
    ) -> GhostNorm.GramSum {
        let side = GhostNorm.tile
        let smallest = GhostNorm.smallestSquare
        var result = GhostNorm.GramSum()
        for first in stride(from: 0, to: rowsPerSample, by: side) {
            let rows = first..<min(rowsPerSample, first + side)
            for second in stride(from: 0, through: first, by: side) {
                let columns = second..<min(rowsPerSample, second + side)
                x.gram(x, rows: rows, columns: columns, into: tile)
                // What lies on one side of the diagonal counts twice.
                let share = second < first ? 2.0 : 1.0
                for (index, row) in rows.enumerated() {
                    let own = gram + row * rowsPerSample
                    result.sum += share * dot(tile + index * columns.count, own + columns.lowerBound, columns.count)
                    if first == second, hasGradient(row) {
                        let (squareOfX, squareOfG) = (Double(tile[index * columns.count + index]), Double(own[row]))
                        let isLost = min(squareOfX, squareOfG) < smallest
                        // Of a lost square of g no more is known than that it is not larger than this.
                        result.add(
                            squareOfX: isLost ? x.square(at: row) : squareOfX, squareOfG: max(squareOfG, smallest),
                            isLost: isLost)
                    }
                }
            }
        }
        return result
    }

    /// The squared norms of some of the samples that make up a block of rows, some classes of x^T g at a time.
    private func squaredNormsByInstantiation(
        _ cancelled: [Int], of samples: Range<Int>, _ operands: Operands, _ logSums: UnsafePointer<Float>,
        _ rowWeights: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>, buffer: UnsafeMutablePointer<Float>,
        _ pool: ThreadPool
    ) -> [Double] {
        var squares = [Double](repeating: 0, count: cancelled.count)
        var squaresOfG = [Double](repeating: 0, count: cancelled.count * rowsPerSample)
        forClassBlocks { block in
            logitGradients(
                operands, logSums: logSums, rowWeights: rowWeights, rows: rows(of: samples), block: block,
                into: gradient, pool: pool)
            for (index, sample) in cancelled.enumerated() {
                let own = gradient + (sample - samples.lowerBound) * rowsPerSample * block.count
                gemm(
                    transposeA: true, m: block.count, n: width, k: rowsPerSample, a: own, lda: block.count,
                    b: operands.x + sample * rowsPerSample * width, ldb: width, c: buffer, ldc: width, pool: pool)
                squares[index] += sumOfSquares(buffer, block.count * width)
                for row in 0..<rowsPerSample {
                    squaresOfG[index * rowsPerSample + row] += sumOfSquares(own + row * block.count, block.count)
                }
            }
        }
        return cancelled.indices.map { index in
            let bound = (0..<rowsPerSample).reduce(0.0) { bound, row in
                let x = operands.x + (cancelled[index] * rowsPerSample + row) * width
                return bound + (sumOfSquares(x, width) * squaresOfG[index * rowsPerSample + row]).squareRoot()
            }
            return GhostNorm.widened(squares[index], bound, positions: rowsPerSample)
        }
    }

    /// gradient:[rows, classes], all logits' gradients at once, for what no block-wise rule covers.
    public func allLogitGradients(
        _ operands: Operands, logSums: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>,
        into gradient: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        logitGradients(
            operands, logSums: logSums, rowWeights: rowWeights, rows: 0..<rows, block: 0..<classes, into: gradient,
            pool: pool)
    }
}
