import Glibc

extension VocabularyHead {
    /// Scratch elements of `innerProducts` for a pool of `workers` threads.
    public func innerProductScratchCount(positions: Int, workers: Int) -> Int { workers * workerCount(positions) }

    private func workerCount(_ positions: Int) -> Int {
        let tokens = min(positions, GhostNorm.tile)
        return 2 * tokens * (width + min(rowsPerSample, GhostNorm.tile))
    }

    /// products:[samples] = <G_i of the reads, G_i of the head> for a table that is read by `indices` and is also the
    /// head's weights: sum_{v,t} (g_v . x[t]) * dlogits[t, v] over the rows v that are read, g_v being the sum of g over the
    /// positions that read v (ALGORITHMS, shared parameters).
    ///
    /// indices:[samples, positions], each in 0..<classes; g:[samples, positions, width] gradient of what was read. Logits
    /// of the classes that a sample reads are all that is computed.
    public func innerProducts(
        _ operands: Operands, logSums: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>,
        indices: UnsafePointer<Int64>, g: UnsafePointer<Float>, positions: Int,
        into products: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) {
        let side = GhostNorm.tile
        pool.forEach(samples) { sample, worker in
            let tile = min(positions, side)
            let table = scratch + worker * workerCount(positions)
            let summed = table + tile * width
            let logits = summed + tile * width
            let inner = logits + tile * min(rowsPerSample, side)
            let matrix = { (pointer: UnsafePointer<Float>) in
                PositionMatrix(pointer: pointer, stride: width, features: width, isFeatureMajor: false)
            }
            let x = matrix(operands.x + sample * rowsPerSample * width)
            var sum = 0.0
            TableReads.forEachTile(
                of: indices + sample * positions, g + sample * positions * width, count: positions, rows: classes,
                width: width, into: summed
            ) { tokens in
                gather(operands, tokens, into: table)
                for firstRow in stride(from: 0, to: rowsPerSample, by: side) {
                    let rows = firstRow..<min(rowsPerSample, firstRow + side)
                    x.gram(matrix(table), rows: rows, columns: 0..<tokens.count, into: logits)
                    x.gram(matrix(summed), rows: rows, columns: 0..<tokens.count, into: inner)
                    for (index, row) in rows.enumerated() {
                        let place = sample * rowsPerSample + row
                        if !hasGradient(place, operands, rowWeights) { continue }
                        let (target, weight) = (operands.targets[place], rowWeights[place])
                        for (column, token) in tokens.enumerated() {
                            let at = index * tokens.count + column
                            let logit = logits[at] + (operands.bias?[Int(token)] ?? 0)
                            let probability = exp(logit - logSums[place])
                            let gradient = (probability - (token == target ? 1 : 0)) * weight
                            sum += Double(inner[at]) * Double(gradient)
                        }
                    }
                }
            }
            products[sample] = sum
        }
    }

    /// table:[tokens, width] = the weights of the classes that are read.
    private func gather(
        _ operands: Operands, _ tokens: UnsafeBufferPointer<Int64>, into table: UnsafeMutablePointer<Float>
    ) {
        for (row, token) in tokens.enumerated() {
            let index = Int(token)
            let own = weights(operands, of: index..<index + 1)
            for column in 0..<width {
                table[row * width + column] = own.pointer[isClassMajor ? column : column * own.stride]
            }
        }
    }
}
