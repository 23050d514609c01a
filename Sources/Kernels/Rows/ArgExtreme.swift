/// Which end of the order an index search looks for.
public enum ArgExtreme: Hashable, Sendable {
    case max, min
}

extension Rows {
    /// out[outer, inner] = the index along the middle axis of [outer, n, inner] of the greatest or least element; among
    /// equals the first, or the last where `selectsLast`. A NaN beats everything.
    public static func argument(
        _ extreme: ArgExtreme, _ x: UnsafePointer<Float>, into out: UnsafeMutablePointer<Int64>, outer: Int, n: Int,
        inner: Int = 1, selectsLast: Bool = false, pool: ThreadPool
    ) {
        search(x, out, outer, n, inner, selectsLast, pool) { new, old in
            if new.isNaN { return !old.isNaN }
            return extreme == .max ? new > old : new < old
        } ties: {
            $0 == $1 || ($0.isNaN && $1.isNaN)
        }
    }

    /// The same for integers.
    public static func argument(
        _ extreme: ArgExtreme, _ x: UnsafePointer<Int64>, into out: UnsafeMutablePointer<Int64>, outer: Int, n: Int,
        inner: Int = 1, selectsLast: Bool = false, pool: ThreadPool
    ) {
        search(x, out, outer, n, inner, selectsLast, pool) {
            extreme == .max ? $0 > $1 : $0 < $1
        } ties: {
            $0 == $1
        }
    }

    @inline(__always)
    private static func search<Element: BitwiseCopyable>(
        _ x: UnsafePointer<Element>, _ out: UnsafeMutablePointer<Int64>, _ outer: Int, _ n: Int, _ inner: Int,
        _ selectsLast: Bool, _ pool: ThreadPool, beats: (Element, Element) -> Bool, ties: (Element, Element) -> Bool
    ) {
        guard n > 0 else { return }
        pool.forRanges(outer * inner, grain: rowGrain(n)) { range, _ in
            for index in range {
                let base = x + (index / inner * n * inner + index % inner)
                var best = 0
                for k in 1..<max(1, n) {
                    let new = base[k * inner]
                    let old = base[best * inner]
                    if beats(new, old) || (selectsLast && ties(new, old)) { best = k }
                }
                out[index] = Int64(best)
            }
        }
    }
}
