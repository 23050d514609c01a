/// How many samples of how many rows are computed at once.
struct BatchShape: Hashable {
    let samples: Int
    /// Rows of each; a sample of fewer is filled up with rows that do not count.
    let rowsPerSample: Int

    var rows: Int { samples * rowsPerSample }
}

/// The shapes of physical batches that a data set is computed in.
///
/// Samples of many rows waste little if those of similar size are computed together: the number of rows per sample takes
/// a few values, each at most 3/4 of the next unless no sample would fit it better.
struct BatchShapes {
    /// Rows at once at most; exactly so many where the model fixes its batch.
    let rows: Int
    let isFixed: Bool
    /// Numbers of rows per sample, ascending; samples of more rows than are computed at once have none.
    let widths: [Int]

    init(_ data: DataSet, rows: Int, isFixed: Bool) {
        self.rows = rows
        self.isFixed = isFixed
        let sizes = Set((data.groups?.rows ?? []).map(\.count).filter { $0 <= rows }).sorted()
        if sizes.isEmpty {
            widths = [1]
            return
        }
        if isFixed {
            widths = Set(sizes.map { size in (size...rows).first { rows % $0 == 0 }! }).sorted()
            return
        }
        var widths: [Int] = []
        for size in sizes.reversed() where widths.last.map({ 4 * size <= 3 * $0 }) ?? true { widths.append(size) }
        self.widths = widths.reversed()
    }

    /// The narrowest width that holds a sample; nil for one that is computed in several physical batches.
    func width(rows count: Int) -> Int? { widths.first { $0 >= count } }

    /// The largest batch of samples of one width. A model that takes any batch is given two rows at least.
    func largest(width: Int) -> BatchShape {
        BatchShape(samples: max(rows / width, 1), rowsPerSample: width)
    }

    /// The shape that wastes little on padding: the number of samples halved as often as those left still fit.
    func shape(forSamples count: Int, width: Int) -> BatchShape {
        var samples = largest(width: width).samples
        while !isFixed, samples / 2 >= count, samples / 2 * width >= 2 { samples /= 2 }
        return BatchShape(samples: samples, rowsPerSample: width)
    }
}
