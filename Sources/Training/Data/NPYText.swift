/// An .npy array of text: NumPy's types `S` (bytes) and `U` (UTF-32), one-dimensional.
struct NPYText {
    /// The bytes of each entry, padded with zeros to one width.
    let rows: [[UInt8]]

    /// Nil if the array in `region[offset ..< offset + length]` is of another type.
    /// - Throws: `DataError` if it is no .npy array, has another rank, or its size does not fit.
    init?(_ region: ByteRegion, offset: Int, length: Int, place: DataError.Place) throws(DataError) {
        let (dictionary, start) = try NPYHeader.dictionary(region, offset: offset, length: length, place: place)
        let code = dictionary.descr.drop { "<>|=".contains($0) }
        guard let kind = code.first, kind == "S" || kind == "U", let characters = Int(code.dropFirst()) else {
            return nil
        }
        guard dictionary.shape.count == 1, let count = dictionary.shape.first else {
            throw DataError(
                .mismatch, "has shape \(dictionary.shape); text to group rows by has one entry per row", at: place)
        }
        let (width, overflows) = characters.multipliedReportingOverflow(by: kind == "U" ? 4 : 1)
        let (size, overflowsToo) = width.multipliedReportingOverflow(by: count)
        guard !overflows, !overflowsToo, width >= 0, size == length - start else {
            throw DataError(
                .malformed, "holds \(length - start) bytes, which its shape and type do not need", at: place)
        }
        rows = (0..<count).map { Array(region.bytes(offset + start + $0 * width, width)) }
    }
}
