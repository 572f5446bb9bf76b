(()=>{var s=[],n=window;n.hly=n.headlessly||(n.headlessly=new Proxy(s,{get:(t,l)=>l==="q"?s:(...o)=>{s.push([l,o])}}));})();
